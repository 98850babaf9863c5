//! What the measuring machine may have done to each request: by how much its time is shorter, and whether its
//! outcome may be another. `doubt.rs` has the argument.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::horizon_s;
use crate::doubt::{Doubts, Observed};
use crate::validity::has_rivals;
use record::{Attempt, Manifest, Operation, Outcome, TimelineRow, history};

/// Above this share of waiting for its core the sender may have found a new connection late: the wait for
/// one counts as lateness then. Idle: 0.05 to 0.25 %.
const RUN_QUEUE_MAX: f64 = 0.01;
/// Lateness of a request's own that is a smaller part of its time is not told: figures have three digits.
const OWN_PARTS: u64 = 100;

/// What may have been added to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// To its response time, at most, ns.
    pub(super) ns: u64,
    /// Whether so much that it may have ended otherwise.
    pub(super) changes: bool,
}

/// What is known of all requests before the first one is looked at.
pub(super) struct Touch {
    answers: Doubts,
    /// The same of orders until they are final, which may be long after the answer.
    completions: Doubts,
    /// The shortest service times, ns.
    fastest: BTreeMap<(Operation, Outcome), u64>,
    waits_count: bool,
    /// Others worked beside the systems: any time may be as short as the shortest of its kind.
    has_rivals: bool,
    changes_ns: u64,
    /// Of attempts that others follow, by their request's number: what was added, and the first intent.
    begun: HashMap<u64, (Added, u64)>,
}

impl Touch {
    /// Reads the history for a first time. `settled` has when orders became final, µs, by key.
    pub(super) fn of(
        folder: &Path,
        manifest: &Manifest,
        settled: &HashMap<Box<str>, i64>,
    ) -> anyhow::Result<Self> {
        let length_s = f64::from(manifest.duration_s) + horizon_s(manifest);
        let (mut answers, mut completions) = (Observed::new(length_s), Observed::new(length_s));
        let mut fastest = BTreeMap::new();
        for passage in history::passages(folder)? {
            let history::Passage { key, operation, intended_ns, sent_ns, done_ns, outcome } =
                passage?;
            if outcome == Outcome::Dropped {
                continue;
            }
            answers.add(intended_ns, sent_ns, done_ns);
            let least = fastest.entry((operation, outcome)).or_insert(u64::MAX);
            *least = done_ns.saturating_sub(sent_ns).min(*least);
            if operation == Operation::Place && outcome == Outcome::Ok {
                let settled_us = settled.get(key.as_str()).copied();
                let final_ns =
                    settled_us.and_then(|us| u64::try_from(us).ok()).map(|us| us * 1_000);
                completions.add(intended_ns, sent_ns, final_ns.unwrap_or(done_ns).max(done_ns));
            }
        }
        Ok(Self {
            answers: answers.doubts(&manifest.stalls),
            completions: completions.doubts(&manifest.stalls),
            fastest,
            waits_count: manifest.generator.run_queue_share > RUN_QUEUE_MAX,
            has_rivals: has_rivals(&manifest.generator),
            changes_ns: manifest.limits.send_lag_us.saturating_mul(1_000),
            begun: HashMap::new(),
        })
    }

    /// How many attempts were sent late.
    pub(super) fn late(&self) -> u64 {
        self.answers.late()
    }

    /// What may have been added to this attempt and those of its request before it.
    pub(super) fn added(&mut self, a: &Attempt) -> Added {
        let earlier = if a.retry > 0 { self.begun.remove(&a.seq) } else { None };
        let own = self.alone(a);
        let first_ns = earlier.map_or(a.intended_ns, |(_, first_ns)| first_ns);
        let added = match earlier {
            None => own,
            // In time it may have been answered at once, and never have asked again.
            Some((Added { changes: true, .. }, _)) => {
                Added { ns: self.most(a, first_ns), changes: true }
            }
            Some((before, _)) => Added {
                ns: before.ns.saturating_add(own.ns).min(self.most(a, first_ns)),
                changes: own.changes,
            },
        };
        if a.again {
            self.begun.insert(a.seq, (added, first_ns));
        }
        added
    }

    /// Whether anything may have been added to the attempts so far of a request that was to ask again.
    pub(super) fn rest(&mut self, seq: u64) -> Added {
        self.begun.remove(&seq).map(|(added, _)| added).unwrap_or_default()
    }

    fn alone(&self, a: &Attempt) -> Added {
        let response_ns = a.done_ns.saturating_sub(a.intended_ns);
        let waited_ns = if self.waits_count { a.waited_ns } else { 0 };
        let own_ns = a.sent_ns.saturating_sub(a.intended_ns).saturating_add(waited_ns);
        let told_ns = if own_ns.saturating_mul(OWN_PARTS) > response_ns { own_ns } else { 0 };
        let ns = self.answers.adds_ns(a.intended_ns, a.done_ns).max(told_ns);
        let most_ns = self.most(a, a.intended_ns);
        let may_be_ns = if self.has_rivals { most_ns } else { ns.min(most_ns) };
        Added { ns: may_be_ns, changes: ns > self.changes_ns }
    }

    /// No request is quicker than the quickest of its kind.
    fn most(&self, a: &Attempt, first_ns: u64) -> u64 {
        let least_ns = self.fastest.get(&(a.operation, a.outcome)).copied().unwrap_or(0);
        a.done_ns.saturating_sub(first_ns).saturating_sub(least_ns)
    }

    /// What may have been added until an order was final, ns.
    pub(super) fn until_final(&self, added: Added, first_ns: u64, final_ns: u64) -> u64 {
        if self.has_rivals {
            let kind = (Operation::Place, Outcome::Ok);
            let least_ns = self.fastest.get(&kind).copied().unwrap_or(0);
            return final_ns.saturating_sub(first_ns).saturating_sub(least_ns);
        }
        self.completions.adds_ns(first_ns, final_ns).max(added.ns)
    }
}

/// Outcomes come in stretches: where all requests of an operation that nothing touched, due in the same
/// interval and those beside it, ended alike, a touched one would have ended so, too. What is left may be
/// another, and says of how many orders goodput may be more. `rows` are of one operation, by their interval.
pub(super) fn settle(rows: &mut BTreeMap<u32, TimelineRow>, length_s: u32) {
    let untouched = |row: &TimelineRow| {
        let touched = (row.touched_ok.unwrap_or(0), row.touched_failed.unwrap_or(0));
        let failed = row.offered.saturating_sub(row.ok);
        (row.ok.saturating_sub(touched.0), failed.saturating_sub(touched.1))
    };
    let plain: BTreeMap<u32, (u64, u64)> =
        rows.iter().map(|(t_s, row)| (*t_s, untouched(row))).collect();
    for (t_s, row) in rows {
        let beside = plain.range(t_s.saturating_sub(length_s)..=t_s.saturating_add(length_s));
        let (ok, failed) = beside.fold((0, 0), |sum, (_, of)| (sum.0 + of.0, sum.1 + of.1));
        if ok > 0 && failed == 0 {
            row.touched_ok = Some(0);
            row.touched_good = row.touched_good.map(|_| 0);
        }
        if failed > 0 && ok == 0 {
            row.touched_failed = Some(0);
        }
        let (touched_ok, touched_failed) =
            (row.touched_ok.unwrap_or(0), row.touched_failed.unwrap_or(0));
        if let (Some(good), Some(missed)) = (row.touched_good, &mut row.touched_missed) {
            *missed += touched_failed + touched_ok.saturating_sub(good);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ok: u64, failed: u64, touched: (u64, u64, u64)) -> TimelineRow {
        let (touched_ok, touched_failed, touched_good) = touched;
        TimelineRow {
            offered: ok + failed,
            ok,
            failed,
            touched_ok: Some(touched_ok),
            touched_failed: Some(touched_failed),
            touched_good: Some(touched_good),
            touched_missed: Some(0),
            ..TimelineRow::default()
        }
    }

    /// Three seconds; what stays touched in the middle one: ok, failed, good, missed.
    #[track_caller]
    fn check(around: TimelineRow, middle: TimelineRow, expected: [u64; 4]) {
        let mut rows: BTreeMap<u32, TimelineRow> = [around.clone(), middle, around]
            .into_iter()
            .enumerate()
            .map(|(t, r)| (t as u32, r))
            .collect();
        settle(&mut rows, 1);
        let TimelineRow { touched_ok, touched_failed, touched_good, touched_missed, .. } = rows[&1];
        assert_eq!([touched_ok, touched_failed, touched_good, touched_missed], expected.map(Some));
    }

    #[test]
    fn a_late_one_ends_as_all_around_it_do() {
        let untouched = (0, 0, 0);
        check(row(100, 0, untouched), row(100, 0, (40, 0, 40)), [0, 0, 0, 0]);
        check(row(0, 100, untouched), row(0, 100, (0, 40, 0)), [0, 0, 0, 0]);
        // One that failed where all others are answered may have been, too.
        check(row(100, 0, untouched), row(99, 1, (40, 1, 40)), [0, 1, 0, 1]);
        check(row(0, 100, untouched), row(1, 99, (1, 40, 1)), [1, 0, 1, 0]);
    }

    #[test]
    fn where_ends_differ_or_nothing_is_untouched_either_may_be() {
        let untouched = (0, 0, 0);
        check(row(50, 50, untouched), row(50, 50, (40, 30, 35)), [40, 30, 35, 35]);
        check(row(100, 0, (100, 0, 100)), row(100, 0, (100, 0, 100)), [100, 0, 100, 0]);
    }
}

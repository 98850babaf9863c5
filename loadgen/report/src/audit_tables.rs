//! What the charts of one trial's audit are drawn from: read once from its tables, in bounded memory.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use audit::{Flow, Money, Point};
use record::read::Trial;
use record::{Attempt, Manifest, Outcome, history, ledger, prepared_keys};

/// The name of the page that is made of them, in the trial's folder.
pub(super) const FILE: &str = "audit.html";
/// More points than this of one outcome are thinned out: the eye cannot tell them apart.
pub(super) const POINTS: usize = 20_000;
/// A history of more attempts is read only if orders offend, so that a report stays quick.
pub(super) const ATTEMPTS: u64 = 1_000_000;

/// The tables, as far as they could be read.
#[derive(Debug, Default)]
pub(super) struct AuditTables {
    /// Attempts by outcome.
    pub(super) attempts: Option<BTreeMap<Outcome, Thinned>>,
    /// Money over time.
    pub(super) money: Option<Vec<Money>>,
    /// What is left out, and why.
    pub(super) left_out: Vec<String>,
}

/// Whether the trial has such a page: a load without orders has neither orders nor money to follow, and a record without
/// raw tables has no attempts.
pub(super) fn has_page(trial: &Trial) -> bool {
    trial.has_orders() && !trial.pared
}

/// Every `stride`-th of the points that were put in: the same ones each time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Thinned {
    /// The points that were kept.
    pub(super) kept: Vec<Point>,
    /// One of how many was kept.
    pub(super) stride: u64,
    /// How many were put in.
    pub(super) seen: u64,
}

impl Default for Thinned {
    fn default() -> Self {
        Self { kept: Vec::new(), stride: 1, seen: 0 }
    }
}

impl Thinned {
    fn put(&mut self, point: Point) {
        if self.seen.is_multiple_of(self.stride) {
            if self.kept.len() == POINTS {
                let mut index = 0;
                self.kept.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
            if self.seen.is_multiple_of(self.stride) {
                self.kept.push(point);
            }
        }
        self.seen += 1;
    }
}

impl AuditTables {
    /// Reads the tables of the trial in `folder`; `offends` says whether any order does.
    pub(super) fn read(folder: &Path, manifest: &Manifest, offends: bool) -> Self {
        let mut evidence = Self::default();
        let all: u64 = manifest.requests.values().map(|counts| counts.scheduled).sum();
        if all > ATTEMPTS && !offends {
            evidence.left_out.push(format!(
                "Attempts and money are not drawn: the history has {all} attempts, more than \
                 {ATTEMPTS}, and no order offends."
            ));
            return evidence;
        }
        let prepared = prepared_keys(&manifest.key_prefix, manifest.prepared_orders);
        let mut flow = Flow::new(HashSet::from_iter(prepared), manifest.started_at_us);
        let read = attempts(folder, &mut flow).map(|points| evidence.attempts = Some(points));
        if let Err(error) = read {
            evidence.leave("Attempts and money are", folder, &error);
            return evidence;
        }
        match orders(folder, &mut flow) {
            Ok(()) => evidence.money = Some(flow.rows()),
            Err(error) => evidence.leave("Money is", folder, &error),
        }
        evidence
    }

    /// Says what is missing, without the folder that the record happens to lie in.
    pub(super) fn leave(&mut self, what: &str, folder: &Path, error: &anyhow::Error) {
        let here = format!("{}/", folder.display());
        let why = format!("{error:#}").replace(&here, "");
        self.left_out.push(format!("{what} left out: {why}."));
    }
}

fn attempts(folder: &Path, flow: &mut Flow) -> anyhow::Result<BTreeMap<Outcome, Thinned>> {
    let mut points = BTreeMap::<Outcome, Thinned>::new();
    for row in history::read(folder)? {
        let row: Attempt = row?;
        flow.attempt(&row);
        points.entry(row.outcome).or_default().put(Point::of(&row));
    }
    Ok(points)
}

fn orders(folder: &Path, flow: &mut Flow) -> anyhow::Result<()> {
    for row in ledger::orders(folder, 1)? {
        flow.order(&row?);
    }
    for row in ledger::charges(folder)? {
        flow.charge(&row?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Operation;

    #[track_caller]
    fn check(seen: usize, stride: u64, kept: usize) {
        let mut thinned = Thinned::default();
        (0..seen).for_each(|n| thinned.put(Point { at_s: n as f64, response_ms: 1.0 }));
        assert_eq!((thinned.stride, thinned.kept.len(), thinned.seen), (stride, kept, seen as u64));
        let expected = (0..kept).map(|n| n as f64 * stride as f64);
        assert!(thinned.kept.iter().map(|point| point.at_s).eq(expected));
    }

    #[test]
    fn nothing_is_thinned_below_the_bound_and_every_nth_is_kept_above_it() {
        check(0, 1, 0);
        check(POINTS, 1, POINTS);
        check(POINTS + 1, 2, POINTS / 2 + 1);
        check(4 * POINTS, 4, POINTS);
        check(4 * POINTS + 1, 8, POINTS / 2 + 1);
    }

    #[test]
    fn a_long_history_is_read_only_if_orders_offend() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::default();
        manifest.requests.entry(Operation::Place).or_default().scheduled = ATTEMPTS + 1;
        let said = |offends| AuditTables::read(folder.path(), &manifest, offends).left_out;
        assert!(said(false)[0].contains("1000001 attempts"));
        assert!(
            said(true)[0].starts_with("Attempts and money are left out: cannot read history.csv")
        );
    }
}

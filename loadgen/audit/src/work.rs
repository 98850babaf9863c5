//! When orders were in work: from when each was first asked for until it was answered and final. Exact
//! instants, not seconds of a time series; it judges nothing.

use super::clock::{Clock, NEVER};
use super::story::Story;

const NS_PER_S: f64 = 1e9;

/// All instants at which something began and ended, ns since second 0, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    begun: Vec<u64>,
    ended: Vec<u64>,
    /// When orders became final.
    finals: Vec<u64>,
}

impl Work {
    /// The work of these stories; none if nobody knows when second 0 was on the ledger's clock.
    pub(super) fn of<'s>(stories: impl Iterator<Item = &'s Story>, clock: Clock) -> Self {
        let mut work = Self::default();
        let Some(started_at_us) = clock.started_at_us else { return work };
        let since = |us: i64| {
            let ns = us.saturating_sub(started_at_us).saturating_mul(1_000);
            u64::try_from(ns).unwrap_or(0)
        };
        for story in stories.filter(|story| story.asked_ns != NEVER) {
            let exists = story.orders.total() > 0;
            let over = if exists { story.over_us.map_or(NEVER, since) } else { 0 };
            work.add(story.asked_ns, over.max(story.answered_ns), exists.then_some(over));
        }
        work.begun.sort_unstable();
        work.ended.sort_unstable();
        work.finals.sort_unstable();
        work
    }

    fn add(&mut self, from_ns: u64, to_ns: u64, settled_ns: Option<u64>) {
        self.begun.push(from_ns);
        self.ended.push(to_ns);
        self.finals.extend(settled_ns.filter(|ns| *ns != NEVER));
    }

    /// How many orders were in work then.
    pub(super) fn at(&self, s: f64) -> u64 {
        let ns = (s * NS_PER_S) as u64;
        until(&self.begun, ns).saturating_sub(until(&self.ended, ns)) as u64
    }

    /// The most that were in work at any time between these.
    pub(super) fn most(&self, from_s: f64, to_s: f64) -> u64 {
        let to_ns = (to_s * NS_PER_S) as u64;
        let steps = self.steps((from_s * NS_PER_S) as u64).take_while(|(ns, _)| *ns < to_ns);
        steps.map(|(_, level)| level).fold(self.at(from_s), u64::max)
    }

    /// When no more than `level` were in work after `from_s` and so it stayed for `stays_s`, or until
    /// `to_s`; s since second 0.
    pub(super) fn back_to(&self, level: u64, from_s: f64, to_s: f64, stays_s: f64) -> Option<f64> {
        let [to_ns, stays_ns] = [to_s, stays_s].map(|s| (s * NS_PER_S) as u64);
        let mut back = (self.at(from_s) <= level).then_some((from_s * NS_PER_S) as u64);
        for (ns, now) in self.steps((from_s * NS_PER_S) as u64) {
            if ns > to_ns || back.is_some_and(|back| ns >= back.saturating_add(stays_ns)) {
                break;
            }
            back = if now <= level { back.or(Some(ns)) } else { None };
        }
        back.map(|ns| ns as f64 / NS_PER_S)
    }

    /// Orders that were asked for, and that became final, per second between these.
    pub(super) fn rates(&self, from_s: f64, to_s: f64) -> (f64, f64) {
        let [from, to] = [from_s, to_s].map(|s| (s * NS_PER_S) as u64);
        let per_s = |instants: &[u64]| {
            until(instants, to).saturating_sub(until(instants, from)) as f64 / (to_s - from_s)
        };
        (per_s(&self.begun), per_s(&self.finals))
    }

    /// After an instant: each at which something changes, and how many are in work from then on.
    fn steps(&self, after_ns: u64) -> impl Iterator<Item = (u64, u64)> {
        let (mut begun, mut ended) = (until(&self.begun, after_ns), until(&self.ended, after_ns));
        std::iter::from_fn(move || {
            let next = |instants: &[u64], at: usize| instants.get(at).copied().unwrap_or(NEVER);
            let ns = next(&self.begun, begun).min(next(&self.ended, ended));
            if ns == NEVER {
                return None;
            }
            begun += until(&self.begun[begun..], ns);
            ended += until(&self.ended[ended..], ns);
            Some((ns, begun.saturating_sub(ended) as u64))
        })
    }
}

/// How many of sorted instants are not after this one.
fn until(instants: &[u64], ns: u64) -> usize {
    instants.partition_point(|instant| *instant <= ns)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Work from when to when, s; `None`: it never ended.
    pub(crate) fn work(spans: &[(f64, Option<f64>)]) -> Work {
        let mut work = Work::default();
        let ns = |s: f64| (s * NS_PER_S) as u64;
        for (from_s, to_s) in spans {
            let to_ns = to_s.map_or(NEVER, ns);
            work.add(ns(*from_s), to_ns, Some(to_ns));
        }
        work.begun.sort_unstable();
        work.ended.sort_unstable();
        work.finals.sort_unstable();
        work
    }

    #[test]
    fn what_is_in_work_is_known_at_every_instant() {
        let work = work(&[(1.0, Some(4.0)), (2.0, Some(3.0)), (2.0, Some(9.0)), (5.0, None)]);
        let at = |s| work.at(s);
        assert_eq!([0.9, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 99.0].map(at), [0, 1, 3, 2, 1, 2, 1, 1]);
        assert_eq!([(0.0, 1.0), (0.0, 2.1), (3.5, 5.0)].map(|(a, b)| work.most(a, b)), [0, 3, 2]);
        assert_eq!(work.rates(1.5, 4.5), (2.0 / 3.0, 2.0 / 3.0));
    }

    #[test]
    fn it_is_back_when_it_stays() {
        let work = work(&[(0.0, Some(5.0)), (1.0, Some(3.0)), (4.0, Some(6.0)), (9.0, None)]);
        assert_eq!(work.back_to(1, 2.0, 99.0, 3.0), Some(5.0), "1 at 3 s is but a dip");
        assert_eq!(work.back_to(1, 2.0, 99.0, 0.5), Some(3.0));
        assert_eq!(work.back_to(2, 2.0, 99.0, 3.0), Some(2.0), "at once");
        assert_eq!(work.back_to(0, 2.0, 99.0, 3.0), Some(6.0));
        assert_eq!(work.back_to(0, 2.0, 99.0, 3.1), None, "the next begins before");
        assert_eq!(work.back_to(0, 2.0, 8.0, 3.1), Some(6.0), "as long as it can be seen");
        assert_eq!(work.back_to(0, 2.0, 5.9, 3.0), None, "the time ends before");
    }
}

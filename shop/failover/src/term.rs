//! What a manager decides for a pair.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::words::{Data, NODES, Order, Report, Role};

/// What a manager keeps of a pair: on the disk before anybody hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kept {
    /// Counts who was the one that writes.
    pub term: u64,
    /// Which of the two it is, from 0.
    pub primary: usize,
    /// Whether it has ever been written to.
    pub begun: bool,
    /// Whether the other has what customers were promised, and may take over.
    pub followed: bool,
}

impl Default for Kept {
    /// A pair that was never started: the first writes.
    fn default() -> Self {
        Self { term: 1, primary: 0, begun: false, followed: false }
    }
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For how long one may write without having asked again.
    pub lease: Duration,
    /// What it takes to end, when its lease has.
    pub grace: Duration,
}

/// A pair, as its manager knows it.
#[derive(Clone, Debug)]
pub struct Shard {
    /// What is on the disk.
    pub kept: Kept,
    timing: Timing,
    /// Whether commits wait for the copy, while there is one.
    is_synchronous: bool,
    /// From then on the one that writes has ended, whatever became of it.
    over: Instant,
    /// When the one that writes last answered customers, as far as is known.
    served: Instant,
    /// When the other last had what was written.
    followed: Instant,
    /// Since when commits wait for one that has not had everything yet.
    joining: Option<Instant>,
    /// Before that nobody waits again for one that did not keep up.
    alone: Instant,
    /// When the other last ran, with a copy of this term.
    other: Option<Instant>,
    /// What was last heard of each: the life of the process, and how often it had asked.
    heard: [(u64, u64); NODES],
}

/// One that joins and has not everything after so many leases does not keep up.
const JOINING: u32 = 2;

/// For so many leases nobody waits for a copy that is there and did not keep up: it would be waited for all the time.
const ALONE: u32 = 3;

impl Shard {
    /// With what was kept. What leases were given before is not known: as if they all began now.
    #[must_use]
    pub fn new(kept: Kept, timing: Timing, is_synchronous: bool, now: Instant) -> Self {
        let over = now + timing.lease + timing.grace;
        let (joining, other, heard) = (None, None, [(0, 0); NODES]);
        let [served, followed, alone] = [now; 3];
        Self { kept, timing, is_synchronous, over, served, followed, joining, alone, other, heard }
    }

    /// Hears a server of the pair, and tells it what it is. What is `kept` then must be on the disk before this is told.
    /// `None`: it has asked again since.
    pub fn heard(&mut self, node: usize, report: &Report, now: Instant) -> Option<Order> {
        let last = self.heard.get_mut(node)?;
        if report.life == last.0 && report.asked <= last.1 {
            return None;
        }
        *last = (report.life, report.asked);
        if node == self.kept.primary {
            return Some(self.primary(report, now));
        }
        let can = report.runs && report.data == Data::Replica(self.kept.term);
        self.other = can.then_some(now);
        if can && self.kept.followed && now > self.over {
            self.kept =
                Kept { term: self.kept.term + 1, primary: node, begun: true, followed: false };
            (self.served, self.followed, self.other) = (now, now, None);
            return Some(self.primary(report, now));
        }
        Some(self.order(Role::Replica, Duration::ZERO, false))
    }

    fn primary(&mut self, report: &Report, now: Instant) -> Order {
        let answers = report.runs && report.data == Data::Primary(self.kept.term);
        if answers {
            self.kept.begun = true;
            self.served = now;
            self.look_at_the_other(report, now);
        }
        // One that does not answer is not kept where the other can.
        let of_late = |heard: Instant| now - heard <= self.timing.lease;
        let other_can = self.kept.followed && self.other.is_some_and(of_late);
        let may_stay = of_late(self.served) || !other_can;
        let lease = if may_stay { self.timing.lease } else { Duration::ZERO };
        if may_stay {
            self.over = now + lease + self.timing.grace;
        }
        let waits = self.is_synchronous
            && (self.kept.followed || answers && report.streams && self.may_join(now));
        self.order(Role::Primary, lease, waits)
    }

    /// One that is lost may not take over from then on, and after that nobody waits for it: in this sequence.
    fn look_at_the_other(&mut self, report: &Report, now: Instant) {
        if report.followed && (report.waits || !self.is_synchronous) {
            (self.kept.followed, self.followed, self.joining) = (true, now, None);
        } else if self.kept.followed && now - self.followed > self.timing.lease {
            self.kept.followed = false;
            if report.streams {
                self.leave_alone(now);
            }
        }
    }

    /// Whether commits may wait for one that has not had everything yet.
    fn may_join(&mut self, now: Instant) -> bool {
        if now < self.alone {
            return false;
        }
        let since = *self.joining.get_or_insert(now);
        if now - since > self.timing.lease * JOINING {
            self.leave_alone(now);
            return false;
        }
        true
    }

    fn leave_alone(&mut self, now: Instant) {
        self.joining = None;
        self.alone = now + self.timing.lease * ALONE;
    }

    fn order(&self, role: Role, lease: Duration, waits: bool) -> Order {
        let Kept { term, begun, followed, .. } = self.kept;
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let synchronous = self.is_synchronous;
        Order { term, role, lease_ms, synchronous, waits, first: !begun, followed }
    }
}

#[cfg(test)]
mod tests;

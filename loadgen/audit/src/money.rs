//! Money over time and attempts as points: what the charts of an audit are drawn from.

use std::collections::{BTreeMap, HashSet};

use record::ledger::{ChargeRow, OrderRow};
use record::{Attempt, Operation, Outcome};

/// What says that it happened later than a month after second 0 did not: no load is as long.
const LATEST_S: i64 = 2_678_400;

/// Cents up to the end of a second, since second 0. After the drain all three are equal but for
/// declined orders, which are accepted and never captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Money {
    /// The second that ends; what was before second 0 is in the first.
    pub t_s: u32,
    /// Of acknowledged orders.
    pub accepted_cents: i64,
    /// In the provider's journal.
    pub captured_cents: i64,
    /// Of paid orders, by the instant of settling.
    pub settled_cents: i64,
}

/// Money over time, fed row by row. Orders of the preparation are left out: no attempt of the load
/// accepts them.
#[derive(Debug, Default)]
pub struct Flow {
    changes: BTreeMap<u32, Money>,
    prepared: HashSet<String>,
    started_at_us: i64,
}

impl Flow {
    /// Nothing yet. `prepared` holds the preparation's keys, `started_at_us` the wall clock at second
    /// 0, µs.
    #[must_use]
    pub fn new(prepared: HashSet<String>, started_at_us: i64) -> Self {
        Self { prepared, started_at_us, ..Self::default() }
    }

    /// An attempt: an acknowledged order is accepted.
    pub fn attempt(&mut self, a: &Attempt) {
        if a.operation == Operation::Place && a.outcome == Outcome::Ok {
            let at = second(a.done_ns / 1_000_000_000);
            let sum = &mut self.changes.entry(at).or_default().accepted_cents;
            *sum = sum.saturating_add(a.amount_cents);
        }
    }

    /// A line of the journal.
    pub fn charge(&mut self, row: &ChargeRow) {
        if row.event == "captured" && !self.prepared.contains(&row.key) {
            let sum = &mut self.at(row.at_us).captured_cents;
            *sum = sum.saturating_add(row.amount_cents);
        }
    }

    /// An order's row.
    pub fn order(&mut self, row: &OrderRow) {
        let settled_at = row.settled_at.filter(|_| row.status == "paid");
        if let Some(at_us) = settled_at.filter(|_| !self.prepared.contains(&row.key)) {
            let sum = &mut self.at(at_us).settled_cents;
            *sum = sum.saturating_add(row.total_cents);
        }
    }

    /// The sums, one row per second in which something changed.
    #[must_use]
    pub fn rows(&self) -> Vec<Money> {
        let mut sum = Money::default();
        let add = |(t_s, change): (&u32, &Money)| {
            sum = Money {
                t_s: *t_s,
                accepted_cents: sum.accepted_cents.saturating_add(change.accepted_cents),
                captured_cents: sum.captured_cents.saturating_add(change.captured_cents),
                settled_cents: sum.settled_cents.saturating_add(change.settled_cents),
            };
            sum
        };
        self.changes.iter().map(add).collect()
    }

    fn at(&mut self, at_us: i64) -> &mut Money {
        let at_us = at_us.saturating_sub(self.started_at_us);
        let at = (at_us / 1_000_000).clamp(0, LATEST_S).cast_unsigned();
        self.changes.entry(second(at)).or_default()
    }
}

fn second(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// One attempt in a picture of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its intended start, s.
    pub at_s: f64,
    /// Its response time, ms; of a dropped one, zero.
    pub response_ms: f64,
}

impl Point {
    /// Where `a` belongs.
    #[must_use]
    pub fn of(a: &Attempt) -> Self {
        Self {
            at_s: a.intended_ns as f64 / 1e9,
            response_ms: a.done_ns.saturating_sub(a.intended_ns) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{charge, order};

    fn attempt(operation: Operation, outcome: Outcome, done_ms: u64) -> Attempt {
        Attempt {
            key: "k".to_owned(),
            operation,
            amount_cents: 500,
            intended_ns: 1_000_000_000,
            sent_ns: 1_000_000_000,
            done_ns: done_ms * 1_000_000,
            outcome,
            ..Attempt::default()
        }
    }

    #[test]
    fn money_adds_up_second_by_second() {
        let told = [
            (Operation::Place, Outcome::Ok, 1_100),
            (Operation::Place, Outcome::Ok, 3_000),
            (Operation::Place, Outcome::Unknown, 1_100),
            (Operation::Get, Outcome::Ok, 1_100),
        ];
        let attempts = told.map(|(operation, outcome, done)| attempt(operation, outcome, done));
        let mut rows = ["paid", "paid", "declined", "paid"].map(|status| order("k", status, &[]));
        rows[0].settled_at = Some(12_500_000);
        rows[1].settled_at = Some(9_000_000);
        rows[2].settled_at = Some(12_500_000);
        rows[3].settled_at = None;
        let charges =
            [charge("k", "captured", &["at=11.9"]), charge("k", "declined", &["at=11.9"])];
        let prepared = || "1-p0".to_owned();
        let mut flow = Flow::new(HashSet::from([prepared()]), 10_000_000);
        attempts.iter().for_each(|a| flow.attempt(a));
        rows.iter().for_each(|row| flow.order(row));
        charges.iter().for_each(|row| flow.charge(row));
        flow.order(&OrderRow { key: prepared(), ..rows[0].clone() });
        flow.charge(&ChargeRow { key: prepared(), ..charges[0].clone() });
        let row = |t_s, accepted_cents, captured_cents, settled_cents| Money {
            t_s,
            accepted_cents,
            captured_cents,
            settled_cents,
        };
        let expected = [
            row(0, 0, 0, 500),
            row(1, 500, 500, 500),
            row(2, 500, 500, 1_000),
            row(3, 1_000, 500, 1_000),
        ];
        assert_eq!(flow.rows(), expected);
    }

    #[test]
    fn a_point_is_where_and_how_long() {
        let point = Point::of(&attempt(Operation::Get, Outcome::Failed, 1_250));
        assert_eq!((point.at_s, point.response_ms), (1.0, 250.0));
    }
}

//! Money over time and attempts as points: what the charts of an audit are drawn from. Pure.

use std::collections::BTreeMap;

use crate::history::Attempt;
use crate::ledger::{ChargeRow, OrderRow};

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

/// Money over time, one row per second in which something changed.
pub fn money<'a>(
    attempts: impl IntoIterator<Item = &'a Attempt>,
    orders: impl IntoIterator<Item = &'a OrderRow>,
    charges: impl IntoIterator<Item = &'a ChargeRow>,
    started_at_us: i64,
) -> Vec<Money> {
    let mut changes: BTreeMap<u32, Money> = BTreeMap::new();
    let wall = |at_us: i64| second(((at_us - started_at_us) / 1_000_000).max(0).cast_unsigned());
    for a in attempts {
        if a.operation == "place" && a.outcome == "ok" {
            changes.entry(second(a.done_ns / 1_000_000_000)).or_default().accepted_cents +=
                a.amount_cents;
        }
    }
    for row in charges {
        if row.event == "captured" {
            changes.entry(wall(row.at_us)).or_default().captured_cents += row.amount_cents;
        }
    }
    for row in orders {
        if let Some(at_us) = row.settled_at.filter(|_| row.status == "paid") {
            changes.entry(wall(at_us)).or_default().settled_cents += row.total_cents;
        }
    }
    let mut sum = Money::default();
    let add = |(t_s, change): (u32, Money)| {
        sum = Money {
            t_s,
            accepted_cents: sum.accepted_cents + change.accepted_cents,
            captured_cents: sum.captured_cents + change.captured_cents,
            settled_cents: sum.settled_cents + change.settled_cents,
        };
        sum
    };
    changes.into_iter().map(add).collect()
}

fn second(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// One attempt in a picture of all.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Point {
    /// Its intended start, s.
    pub at_s: f64,
    /// Its response time, ms; of a dropped one, zero.
    pub response_ms: f64,
    /// What was asked.
    pub operation: String,
    /// What became of it: its colour.
    pub outcome: String,
}

/// Attempts as points, in the order of the history.
pub fn points<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> impl Iterator<Item = Point> {
    attempts.into_iter().map(|a| Point {
        at_s: a.intended_ns as f64 / 1e9,
        response_ms: a.done_ns.saturating_sub(a.intended_ns) as f64 / 1e6,
        operation: a.operation.clone(),
        outcome: a.outcome.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::cases::{charge, order};

    fn attempt(operation: &str, outcome: &str, done_ms: u64) -> Attempt {
        Attempt {
            seq: 0,
            key: "k".to_owned(),
            operation: operation.to_owned(),
            customer: 0,
            amount_cents: 500,
            intended_ns: 1_000_000_000,
            sent_ns: 1_000_000_000,
            done_ns: done_ms * 1_000_000,
            outcome: outcome.to_owned(),
            status: 0,
            trouble: String::new(),
            receipt: String::new(),
            about: String::new(),
        }
    }

    #[test]
    fn money_adds_up_second_by_second() {
        let told = [
            ("place", "ok", 1_100),
            ("place", "ok", 3_000),
            ("place", "unknown", 1_100),
            ("get", "ok", 1_100),
        ];
        let attempts = told.map(|(operation, outcome, done)| attempt(operation, outcome, done));
        let mut rows = ["paid", "paid", "declined", "paid"].map(|status| order("k", status, &[]));
        rows[0].settled_at = Some(12_500_000);
        rows[1].settled_at = Some(9_000_000);
        rows[2].settled_at = Some(12_500_000);
        let charges =
            [charge("k", "captured", &["at=11.9"]), charge("k", "declined", &["at=11.9"])];
        let found = money(&attempts, &rows, &charges, 10_000_000);
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
        assert_eq!(found, expected);
    }

    #[test]
    fn a_point_is_where_and_how_long() {
        let point = points(&[attempt("get", "failed", 1_250)]).next().unwrap();
        assert_eq!((point.at_s, point.response_ms), (1.0, 250.0));
        assert_eq!((point.operation.as_str(), point.outcome.as_str()), ("get", "failed"));
    }
}

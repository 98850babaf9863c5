//! How many orders were open, second by second: from their first intent until they were final, or until
//! their customer knew that they would not be. Averages and minima over time, and how many more came
//! than the rate says.

use std::collections::HashMap;
use std::path::Path;

use record::read::Trial;
use record::requests::{Ended, Part, Requests};
use record::{Operation, Outcome, history, ledger};

/// Levels are counted this often.
const GRID: usize = 100;
const NS_PER_S: f64 = 1e9;

/// An order of the load, or a request where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Order {
    /// Its first intent, s.
    pub(super) intended_s: f64,
    /// When it was no longer open, s; infinite if it never was.
    pub(super) closed_s: f64,
    /// Whether it was acknowledged and became final.
    pub(super) completed: bool,
}

/// One second of the measured window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Second {
    /// The fewest orders that were open.
    pub(super) least: f64,
    /// How many were open on average.
    pub(super) mean: f64,
    /// How many more had come since the window began than the rate says, on average.
    pub(super) surplus: f64,
    /// Orders that were intended in it.
    pub(super) offered: f64,
    /// Of these, not completed within the objective.
    pub(super) late: f64,
}

/// Counts levels over the window from `from_s` to `to_s` of a load of `per_s` orders per second.
pub(super) fn seconds(
    orders: &[Order],
    (from_s, to_s): (u32, u32),
    per_s: f64,
    objective_s: f64,
) -> Vec<Second> {
    let whole = (to_s.saturating_sub(from_s)) as usize;
    let cells = whole * GRID;
    let from = f64::from(from_s);
    // Before the window's first cell is its beginning: the level is a sum of all changes up to a cell.
    let cell = |at_s: f64| ((at_s - from) * GRID as f64).max(0.0) as usize;
    let (mut changes, mut came) = (vec![0_i64; cells + 1], vec![0_i64; cells + 1]);
    let mut seconds = vec![Second::default(); whole];
    for order in orders {
        changes[cell(order.intended_s).min(cells)] += 1;
        changes[cell(order.closed_s).min(cells)] -= 1;
        if order.intended_s >= from {
            came[cell(order.intended_s).min(cells)] += 1;
            if let Some(second) = seconds.get_mut((order.intended_s - from) as usize) {
                let in_time = order.completed && order.closed_s - order.intended_s <= objective_s;
                second.offered += 1.0;
                second.late += f64::from(u8::from(!in_time));
            }
        }
    }
    let (mut level, mut arrived) = (0, 0);
    for (at, second) in seconds.iter_mut().enumerate() {
        second.least = f64::INFINITY;
        for n in at * GRID..(at + 1) * GRID {
            level += changes[n];
            arrived += came[n];
            second.least = second.least.min(level as f64);
            second.mean += level as f64 / GRID as f64;
            let due = per_s * (n as f64 + 0.5) / GRID as f64;
            second.surplus += (arrived as f64 - due) / GRID as f64;
        }
    }
    seconds
}

/// Reads the orders of a trial's load, or its requests where it has no orders.
///
/// # Errors
/// If history or ledger cannot be read.
pub(super) fn read(folder: &Path, trial: &Trial) -> anyhow::Result<Vec<Order>> {
    let operation = trial.main_operation();
    let has_orders = operation == Operation::Place;
    let settled = if has_orders { settled(folder, trial)? } else { HashMap::new() };
    let (mut requests, mut orders) = (Requests::default(), Vec::new());
    for attempt in history::read(folder)? {
        let attempt = attempt?;
        if attempt.operation != operation {
            continue;
        }
        let Some(ended) = requests.add(Part::from(&attempt)) else { continue };
        let is_final = !has_orders || attempt.receipt.is_final();
        let closed_s = if is_final || ended.outcome != Outcome::Ok {
            Some(ended.done_ns as f64 / NS_PER_S)
        } else {
            settled.get(&attempt.key).copied()
        };
        orders.push(order(ended, closed_s));
    }
    Ok(orders)
}

/// What was never sent was never open, but it was offered, and late.
fn order(ended: Ended, closed_s: Option<f64>) -> Order {
    let intended_s = ended.intended_ns as f64 / NS_PER_S;
    let completed = ended.outcome == Outcome::Ok && closed_s.is_some();
    Order { intended_s, closed_s: closed_s.unwrap_or(f64::INFINITY), completed }
}

/// When orders were settled, s after second 0; of none it is known where a dead system could not be asked.
fn settled(folder: &Path, trial: &Trial) -> anyhow::Result<HashMap<String, f64>> {
    let started_at_us = trial.manifest.started_at_us;
    let mut settled = HashMap::new();
    let Ok(rows) = ledger::orders(folder, 1) else { return Ok(settled) };
    for row in rows {
        let row = row?;
        if let Some(at_us) = row.settled_at {
            settled.insert(row.key, (at_us - started_at_us) as f64 / 1e6);
        }
    }
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(intended_s: f64, closed_s: f64) -> Order {
        Order { intended_s, closed_s, completed: closed_s.is_finite() }
    }

    #[test]
    fn levels_are_averaged_over_time() {
        let orders =
            [order(0.5, 4.25), order(3.0, 3.5), order(3.5, f64::INFINITY), order(9.0, 9.5)];
        let found = seconds(&orders, (3, 5), 1.0, 1.0);
        let rounded: Vec<_> = found.iter().map(|s| (s.least, (s.mean * 100.0).round())).collect();
        assert_eq!(rounded, [(2.0, 200.0), (1.0, 125.0)]);
        assert_eq!([found[0].offered, found[0].late, found[1].offered], [2.0, 1.0, 0.0]);
        // 1 and then 2 have come where 0 to 1 were due, and 1 to 2 in the next second.
        let surplus: Vec<_> = found.iter().map(|s| (s.surplus * 100.0).round()).collect();
        assert_eq!(surplus, [100.0, 50.0]);
    }

    #[test]
    fn an_order_that_was_open_before_is_open_and_one_that_was_closed_is_not() {
        let found = seconds(&[order(0.1, 0.2), order(0.1, 1.5)], (1, 3), 1.0, 1.0);
        assert_eq!([found[0].least, found[1].least], [0.0, 0.0]);
        assert_eq!([(found[0].mean * 100.0).round(), found[1].mean], [50.0, 0.0]);
    }
}

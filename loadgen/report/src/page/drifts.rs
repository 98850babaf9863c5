//! The rows of the first third against the last, trial by trial: what stays, and what grows by how much per
//! order.

use serde::Serialize;

use crate::compare::{Scenario, trusted};
use crate::words;
use audit::drift::{Drift, Growing, Row, TOLERANCE, Unit};
use record::read::Trial;

const MIB: f64 = 1_048_576.0;

/// One trial's; none of a scenario without thirds.
#[derive(Serialize)]
pub(super) struct TrialDrift {
    place: String,
    is_excluded: bool,
    worst: String,
    is_beyond: bool,
    rows: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    what: String,
    first: String,
    last: String,
    change: String,
    is_beyond: bool,
    /// Of the card network or the generator: shown, not judged.
    is_outside: bool,
}

/// Every trial that has thirds.
pub(super) fn drifts(scenario: &Scenario<'_>) -> Vec<TrialDrift> {
    let trials = scenario.contestants.iter().flat_map(|one| one.trials.iter().copied());
    trials.filter_map(|trial| Some(of_trial(trial, &Drift::of(trial)?))).collect()
}

fn of_trial(trial: &Trial, drift: &Drift) -> TrialDrift {
    let worst = drift.worst();
    let stays = drift.rows.iter().map(stays);
    TrialDrift {
        place: super::tables::place(trial),
        is_excluded: !trusted(trial),
        worst: worst.map_or_else(|| "–".to_owned(), words::percent),
        is_beyond: worst.is_none_or(|worst| worst > TOLERANCE),
        rows: stays.chain(drift.growing.iter().map(grows)).collect(),
    }
}

fn stays(row: &Row) -> Line {
    let value = |value: f64| match row.unit {
        Unit::Ms => words::millis(value),
        Unit::Bytes => mebibytes(value),
        Unit::Count => words::digits(value),
    };
    Line {
        what: row.what.clone(),
        first: value(row.first),
        last: value(row.last),
        change: signed(row.change()),
        is_beyond: row.is_system && row.drift() > TOLERANCE,
        is_outside: !row.is_system,
    }
}

fn grows(file: &Growing) -> Line {
    let per_order = |bytes: f64| format!("{} bytes per order", words::digits(bytes));
    let (from, to) = (mebibytes(file.from_bytes as f64), mebibytes(file.to_bytes as f64));
    Line {
        what: format!("{} grows from {from} to {to}, {}", file.file, per_order(file.per_order())),
        first: per_order(file.first),
        last: per_order(file.last),
        change: signed(file.change()),
        is_beyond: file.change().abs() > TOLERANCE,
        is_outside: false,
    }
}

fn mebibytes(bytes: f64) -> String {
    format!("{} MiB", words::digits(bytes / MIB))
}

fn signed(share: f64) -> String {
    let sign = if share < 0.0 { "−" } else { "+" };
    if share == 0.0 { "±0".to_owned() } else { format!("{sign}{}", words::percent(share.abs())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_named_with_its_bytes_per_order() {
        let file = Growing {
            file: "data/shop.db".to_owned(),
            from_bytes: 10 << 20,
            to_bytes: 410 << 20,
            first: 512.0,
            last: 520.0,
        };
        let line = grows(&file);
        assert_eq!(line.what, "data/shop.db grows from 10 MiB to 410 MiB, 516 bytes per order");
        assert_eq!((line.change.as_str(), line.is_beyond), ("+1.6 %", false));
        assert!(grows(&Growing { last: 600.0, ..file }).is_beyond);
        assert_eq!((signed(0.0), signed(-0.25)), ("±0".to_owned(), "−25.0 %".to_owned()));
    }
}

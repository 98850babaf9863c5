//! The rows of what was answered, by status and reason, system by system.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compare::{Contestant, Scenario};
use crate::words;
use record::{Attempts, Operation, Outcome};

/// What one scenario's requests were answered; no rows if no record tells.
#[derive(Serialize)]
pub(super) struct Answers {
    systems: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    operation: Operation,
    outcome: Outcome,
    answer: String,
    is_ok: bool,
    /// Count and share of the operation's attempts, by system.
    cells: Vec<String>,
}

/// By operation, then from good to bad, then by status and reason; over the trials that are shown.
pub(super) fn answers(scenario: &Scenario<'_>) -> Answers {
    let systems: Vec<Counted> = scenario.contestants.iter().map(Counted::of).collect();
    let mut kinds: Vec<&Kind> = systems.iter().flat_map(|one| one.kinds.keys()).collect();
    kinds.sort();
    kinds.dedup();
    Answers {
        systems: scenario.contestants.iter().map(|one| one.name.to_owned()).collect(),
        rows: kinds.into_iter().map(|kind| row(kind, &systems)).collect(),
    }
}

/// Operation, outcome by its place in [`Outcome::ALL`], answer.
type Kind = (Operation, usize, String);

/// One system's attempts.
struct Counted {
    kinds: BTreeMap<Kind, u64>,
    operations: BTreeMap<Operation, u64>,
}

impl Counted {
    fn of(one: &Contestant<'_>) -> Self {
        let mut counted = Self { kinds: BTreeMap::new(), operations: BTreeMap::new() };
        let trials = one.shown();
        for attempts in trials.iter().flat_map(|trial| &trial.manifest.attempts) {
            *counted.kinds.entry(kind(attempts)).or_default() += attempts.count;
            *counted.operations.entry(attempts.operation).or_default() += attempts.count;
        }
        counted
    }

    fn cell(&self, kind: &Kind) -> String {
        let all = self.operations.get(&kind.0).copied().unwrap_or_default();
        let count = self.kinds.get(kind).copied().unwrap_or_default();
        match (all, count) {
            (0, _) => "–".to_owned(),
            (_, 0) => "0".to_owned(),
            _ => format!("{} ({})", words::count(count), words::percent(count as f64 / all as f64)),
        }
    }
}

fn kind(attempts: &Attempts) -> Kind {
    let place = Outcome::ALL.iter().take_while(|outcome| **outcome != attempts.outcome).count();
    (attempts.operation, place, attempts.answer())
}

fn row(kind: &Kind, systems: &[Counted]) -> Row {
    let (operation, place, answer) = kind.clone();
    let outcome = Outcome::ALL[place];
    Row {
        operation,
        outcome,
        answer,
        is_ok: outcome == Outcome::Ok,
        cells: systems.iter().map(|one| one.cell(kind)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Trouble;
    use record::read::Trial;

    #[test]
    fn counts_stand_beside_their_shares_and_ok_comes_first() {
        let mut trial = Trial::default();
        trial.manifest.validity.valid = true;
        let kind = |operation, outcome, status, trouble, count| Attempts {
            operation,
            outcome,
            status,
            trouble,
            count,
        };
        let place = Operation::Place;
        trial.manifest.attempts = vec![
            kind(place, Outcome::Unknown, 503, Trouble::None, 30),
            kind(place, Outcome::Failed, 0, Trouble::Refused, 10),
            kind(place, Outcome::Ok, 201, Trouble::None, 1_960),
            kind(Operation::Get, Outcome::Ok, 200, Trouble::None, 5),
        ];
        let found = answers(&Scenario::alone(&trial));
        let rows = found.rows.iter().map(|row| {
            format!("{} {} {}: {}", row.operation, row.outcome, row.answer, row.cells[0])
        });
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                "get ok 200 OK: 5 (100 %)",
                "place ok 201 Created: 1,960 (98.0 %)",
                "place failed connection refused: 10 (0.50 %)",
                "place unknown 503 Service Unavailable: 30 (1.5 %)"
            ]
        );
        assert!(answers(&Scenario::alone(&Trial::default())).rows.is_empty());
    }
}

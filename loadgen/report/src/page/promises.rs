//! The rows of what a scenario promised, system by system, and of the trials that a condition ended.

use serde::Serialize;

use crate::compare::{Contestant, Scenario, Spread};
use crate::figure_text::shown;
use audit::threshold;
use record::Met;
use record::read::Trial;

/// What one scenario promised; no rows if nothing was.
#[derive(Serialize)]
pub(super) struct Promises {
    systems: Vec<String>,
    rows: Vec<PromiseRow>,
    aborted: Vec<AbortedRow>,
}

#[derive(Serialize)]
struct PromiseRow {
    expect: String,
    /// Which operation, and which phase if it is not the whole trial.
    of: String,
    cells: Vec<Cell>,
}

/// How one system kept one promise.
#[derive(Serialize)]
struct Cell {
    found: String,
    verdict: String,
    /// `None` if no trial may be believed.
    is_met: Option<bool>,
}

#[derive(Serialize)]
struct AbortedRow {
    place: String,
    at: String,
    reason: String,
}

/// Promise by promise, then trial by trial.
pub(super) fn promises(scenario: &Scenario<'_>) -> Promises {
    let trials = || scenario.contestants.iter().flat_map(|one| one.trials.iter().copied());
    let mut promises: Vec<&Met> = Vec::new();
    for met in trials().flat_map(|trial| &trial.thresholds) {
        if !promises.iter().any(|other| is_same(met, other)) {
            promises.push(met);
        }
    }
    let row = |promise: &&Met| PromiseRow {
        expect: promise.expect.clone(),
        of: match promise.phase.as_str() {
            "" => promise.operation.to_string(),
            phase => format!("{}, {phase}", promise.operation),
        },
        cells: scenario.contestants.iter().map(|one| cell(one, promise)).collect(),
    };
    Promises {
        systems: scenario.contestants.iter().map(|one| one.name.to_owned()).collect(),
        rows: promises.iter().map(row).collect(),
        aborted: trials().filter_map(aborted).collect(),
    }
}

fn is_same(one: &Met, other: &Met) -> bool {
    let key = |met: &Met| (met.expect.clone(), met.operation, met.phase.clone());
    key(one) == key(other)
}

fn cell(one: &Contestant<'_>, promise: &Met) -> Cell {
    let trusted = one.trusted();
    let judged: Vec<&Met> = trusted
        .iter()
        .filter_map(|trial| trial.thresholds.iter().find(|met| is_same(met, promise)))
        .collect();
    let met = judged.iter().filter(|met| met.met).count();
    let spread = Spread::of(judged.iter().filter_map(|met| met.found).collect());
    let unit = |found| threshold::with_unit(promise, found);
    Cell {
        found: if spread.is_none() && !judged.is_empty() {
            judged[0].found(unit)
        } else {
            shown(spread, judged.len(), unit)
        },
        verdict: verdict(met, judged.len()),
        is_met: (!judged.is_empty()).then_some(met == judged.len()),
    }
}

fn verdict(met: usize, judged: usize) -> String {
    match (met, judged) {
        (_, 0) => String::new(),
        (0, _) => "not met".to_owned(),
        (met, judged) if met == judged => "met".to_owned(),
        (met, judged) => format!("met in {met} of {judged}"),
    }
}

fn aborted(trial: &Trial) -> Option<AbortedRow> {
    let aborted = trial.manifest.validity.aborted.as_ref()?;
    Some(AbortedRow {
        place: super::tables::place(trial),
        at: format!("{} s of {} s", aborted.at_s, trial.manifest.duration_s),
        reason: aborted.reason.clone(),
    })
}

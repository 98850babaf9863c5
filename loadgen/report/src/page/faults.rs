//! The rows of what was harmed, with its proofs, and of how the systems came back.

use serde::Serialize;

use super::tables::place;
use crate::compare::Scenario;
use crate::figure_text::NOTHING;
use crate::words;
use record::read::Trial;
use record::{FaultRecovery, FaultRow, Metastable};

/// One fault in one trial.
#[derive(Serialize)]
pub(crate) struct FaultLine {
    place: String,
    what: String,
    commanded: String,
    effective: String,
    heal_commanded: String,
    healed: String,
    in_work: String,
    idle: bool,
}

/// How one trial came back after one fault.
#[derive(Serialize)]
pub(crate) struct RecoveryRow {
    place: String,
    fault: String,
    healed: String,
    recovered: String,
    backlog: String,
    drained: String,
    predicted: String,
    metastable: String,
    is_bad: bool,
}

/// Every fault of every trial.
pub(super) fn faults(scenario: &Scenario<'_>) -> Vec<FaultLine> {
    let trials = scenario.contestants.iter().flat_map(|one| one.trials.iter().copied());
    trials.flat_map(lines).collect()
}

/// Every fault of the trial.
pub(crate) fn lines(trial: &Trial) -> Vec<FaultLine> {
    trial.faults.iter().map(|fault| line(trial, fault)).collect()
}

fn line(trial: &Trial, fault: &FaultRow) -> FaultLine {
    let at = |at_s: Option<f64>| {
        at_s.map_or_else(|| "not seen".to_owned(), |at_s| format!("{at_s:.2} s"))
    };
    let seen = |at_s: Option<f64>, proof: &str| match at_s {
        Some(_) if !proof.is_empty() => format!("{} ({proof})", at(at_s)),
        _ => at(at_s),
    };
    FaultLine {
        place: place(trial),
        what: format!("{}; {} of {}", words::harm(fault), fault.kind, fault.processes),
        commanded: at(Some(fault.commanded_s)),
        effective: seen(fault.effective_s, &fault.effect_proof),
        heal_commanded: at(fault.heal_commanded_s),
        healed: seen(fault.healed_s, &fault.heal_proof),
        in_work: words::count(fault.in_work_at_onset.unwrap_or(fault.in_flight_at_onset)),
        idle: fault.met_nothing(),
    }
}

/// How every trial came back.
pub(super) fn recoveries(scenario: &Scenario<'_>) -> Vec<RecoveryRow> {
    let trials = scenario.contestants.iter().flat_map(|one| one.trials.iter().copied());
    trials.flat_map(recovery).collect()
}

/// How the trial came back; nothing if its audit does not say.
pub(crate) fn recovery(trial: &Trial) -> Vec<RecoveryRow> {
    let recovery = trial.audit.as_ref().and_then(|audit| audit.recovery.as_ref());
    let rows = recovery.into_iter().flat_map(|all| all.faults.iter().chain(&all.phase));
    rows.map(|fault| recovery_row(trial, fault)).collect()
}

fn recovery_row(trial: &Trial, fault: &FaultRecovery) -> RecoveryRow {
    let seconds = |s: Option<f64>| s.map_or_else(|| NOTHING.to_owned(), |s| format!("{s:.1} s"));
    let rate = |rate: Option<f64>| rate.map_or_else(|| NOTHING.to_owned(), words::digits);
    let (mu, lambda) = (rate(fault.completed_per_s), rate(fault.offered_per_s));
    RecoveryRow {
        place: place(trial),
        fault: fault.name(),
        healed: format!("{:.2} s", fault.healed_s),
        recovered: seconds(fault.recovered_after_s),
        backlog: words::count(fault.backlog),
        drained: seconds(fault.drained_after_s),
        predicted: match (fault.completed_per_s, fault.offered_per_s) {
            (None, None) => NOTHING.to_owned(),
            _ => format!("{} (μ {mu} per s, λ {lambda} per s)", seconds(fault.drain_predicted_s)),
        },
        metastable: match fault.metastable {
            Metastable::No => "no".to_owned(),
            Metastable::Yes => "YES".to_owned(),
            Metastable::Unknown => format!("unknown ({})", fault.why),
        },
        is_bad: fault.metastable == Metastable::Yes,
    }
}

//! The figures of a run as small files: `summary.csv` has a row per trial, phase and operation; what is of a whole
//! trial stands in `trials.csv` once, so that sums come out right.

mod markdown;
mod scorecard;
mod trials;

use std::path::Path;

use serde::Serialize;

use record::read::{Run, Trial};
use record::{Answer, Class, Operation};

use super::figures::{Figures, Time, Times};
use record::atomic_write;

pub(super) use markdown::text as markdown;
pub(super) use scorecard::{Scorecard, classes, fold, folded};

/// The tables' names.
pub(super) const PHASES: &str = "summary.csv";
pub(super) const TRIALS: &str = "trials.csv";

/// One row; units last in the names. Empty: not measured, too few samples, or no such thing. `least` and `most`
/// are the ends between which a figure is, where the measuring machine was late (docs/methodology/doubt.md).
#[derive(Serialize)]
struct Row<'r> {
    run: &'r str,
    revision: &'r str,
    scenario: &'r str,
    system: &'r str,
    trial: u32,
    rerun: u32,
    seed: u64,
    phase: &'r str,
    operation: Operation,
    valid: bool,
    phase_from_s: u32,
    phase_to_s: u32,
    offered_count: u64,
    ok_count: u64,
    failed_count: u64,
    unknown_count: u64,
    dropped_count: u64,
    unfinished_count: u64,
    failed_share: Option<f64>,
    offered_per_s: f64,
    ok_per_s: f64,
    accepted_p50_ms: Option<f64>,
    accepted_p90_ms: Option<f64>,
    accepted_p99_ms: Option<f64>,
    accepted_p999_ms: Option<f64>,
    accepted_max_ms: Option<f64>,
    all_outcomes_p50_ms: Option<f64>,
    all_outcomes_p99_ms: Option<f64>,
    all_outcomes_max_ms: Option<f64>,
    all_outcomes_at_least: bool,
    service_p50_ms: Option<f64>,
    service_p99_ms: Option<f64>,
    completed_count: u64,
    completed_open_count: u64,
    recovered_count: u64,
    completed_p50_ms: Option<f64>,
    completed_p90_ms: Option<f64>,
    completed_p99_ms: Option<f64>,
    completed_max_ms: Option<f64>,
    goodput_per_s: Option<f64>,
    touched_ok_count: u64,
    touched_failed_count: u64,
    accepted_p50_least_ms: Option<f64>,
    accepted_p50_most_ms: Option<f64>,
    accepted_p99_least_ms: Option<f64>,
    accepted_p99_most_ms: Option<f64>,
    all_outcomes_p99_least_ms: Option<f64>,
    all_outcomes_p99_most_ms: Option<f64>,
    completed_p50_least_ms: Option<f64>,
    completed_p50_most_ms: Option<f64>,
    completed_p99_least_ms: Option<f64>,
    completed_p99_most_ms: Option<f64>,
    goodput_least_per_s: Option<f64>,
    goodput_most_per_s: Option<f64>,
}

/// Writes the tables of `run` into `folder`.
pub(super) fn write(run: &Run, folder: &Path) -> anyhow::Result<()> {
    trials::write(run, &folder.join(TRIALS))?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    for trial in &run.trials {
        for operation in trial.manifest.requests.keys() {
            let phases = 0..trial.manifest.phases.len();
            for figures in phases.filter_map(|index| Figures::of(trial, index, *operation)) {
                writer.serialize(row(run, trial, *operation, &figures))?;
            }
        }
    }
    atomic_write::write(&folder.join(PHASES), &writer.into_inner()?)
}

fn row<'r>(run: &'r Run, trial: &'r Trial, operation: Operation, figures: &'r Figures) -> Row<'r> {
    let Figures { phase, counts, accepted, felt, service, completed, .. } = figures;
    let manifest = &trial.manifest;
    let goodput = Some(figures.goodput_per_s()).filter(|_| operation == Operation::Place);
    let rate = |rate: f64| rounded(rate, 1e3);
    Row {
        run: &run.name,
        revision: &manifest.revision,
        scenario: &manifest.scenario,
        system: &manifest.system,
        trial: manifest.trial,
        rerun: manifest.rerun,
        seed: manifest.seed,
        phase: &phase.name,
        operation,
        valid: super::compare::trusted(trial),
        phase_from_s: phase.from_s,
        phase_to_s: phase.to_s,
        offered_count: counts.scheduled,
        ok_count: counts.ok,
        failed_count: counts.failed,
        unknown_count: counts.unknown,
        dropped_count: counts.dropped,
        unfinished_count: counts.unfinished,
        failed_share: figures.failed_share().map(|share| rounded(share.value, 1e6)),
        offered_per_s: rounded(counts.scheduled as f64 / figures.seconds(), 1e3),
        ok_per_s: rounded(counts.ok as f64 / figures.seconds(), 1e3),
        accepted_p50_ms: quantile(accepted, 0.5),
        accepted_p90_ms: quantile(accepted, 0.9),
        accepted_p99_ms: quantile(accepted, 0.99),
        accepted_p999_ms: quantile(accepted, 0.999),
        accepted_max_ms: finite(accepted.max()),
        all_outcomes_p50_ms: quantile(felt, 0.5),
        all_outcomes_p99_ms: quantile(felt, 0.99),
        all_outcomes_max_ms: finite(felt.max()),
        all_outcomes_at_least: felt.max().is_some_and(|time| time.at_least),
        service_p50_ms: quantile(service, 0.5),
        service_p99_ms: quantile(service, 0.99),
        completed_count: figures.completed_count,
        completed_open_count: completed.endless(),
        recovered_count: figures.recovered_count,
        completed_p50_ms: quantile(completed, 0.5),
        completed_p90_ms: quantile(completed, 0.9),
        completed_p99_ms: quantile(completed, 0.99),
        completed_max_ms: finite(completed.max()),
        goodput_per_s: goodput.map(|goodput| rate(goodput.value)),
        touched_ok_count: figures.touched.ok,
        touched_failed_count: figures.touched.failed,
        accepted_p50_least_ms: least(accepted, 0.5),
        accepted_p50_most_ms: most(accepted, 0.5),
        accepted_p99_least_ms: least(accepted, 0.99),
        accepted_p99_most_ms: most(accepted, 0.99),
        all_outcomes_p99_least_ms: least(felt, 0.99),
        all_outcomes_p99_most_ms: most(felt, 0.99),
        completed_p50_least_ms: least(completed, 0.5),
        completed_p50_most_ms: most(completed, 0.5),
        completed_p99_least_ms: least(completed, 0.99),
        completed_p99_most_ms: most(completed, 0.99),
        goodput_least_per_s: goodput.map(|goodput| rate(goodput.least)),
        goodput_most_per_s: goodput.map(|goodput| rate(goodput.most)),
    }
}

/// The audit's answer, or that there is none.
pub(super) fn verdict_word(trial: &Trial) -> &'static str {
    trial.audit.as_ref().map_or("not audited", |audit| answer_word(audit.verdict))
}

/// An answer as a word.
pub(super) fn answer_word(answer: Answer) -> &'static str {
    match answer {
        Answer::True => "true",
        Answer::Unknown => "unknown",
        Answer::False => "false",
    }
}

/// How often the audit met a class; `None` if it did not judge it.
pub(super) fn violations(trial: &Trial, class: &str) -> Option<u64> {
    let found = &trial.audit.as_ref()?.violations;
    found.iter().find(|finding| finding.class == class).map(|finding| finding.count)
}

/// How often the audit met a legal class; `None` if it did not look for it.
fn odd(trial: &Trial, class: Class) -> Option<u64> {
    let found = &trial.audit.as_ref()?.oddities;
    found.iter().find(|finding| finding.class == class.name()).map(|finding| finding.count)
}

fn quantile(times: &Times, q: f64) -> Option<f64> {
    finite(times.quantile(q))
}

/// As short as it may be.
fn least(times: &Times, q: f64) -> Option<f64> {
    times.quantile(q).map(|time| time.least_ms).filter(|ms| ms.is_finite())
}

/// As long as it may be; empty if that is without an end.
fn most(times: &Times, q: f64) -> Option<f64> {
    times.quantile(q).map(|time| time.most_ms).filter(|ms| ms.is_finite())
}

fn finite(time: Option<Time>) -> Option<f64> {
    time.map(|time| time.ms).filter(|ms| ms.is_finite())
}

fn rounded(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}

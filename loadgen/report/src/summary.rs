//! `summary.csv`: every number of the report, one row per trial, phase and operation.

use std::path::Path;

use serde::Serialize;

use record::Answer;
use record::Class;
use record::read::{Run, Trial};

use super::figures::{Figures, Time, Times};
use record::atomic_write;

/// One row; units last in the names. Empty: not measured, too few samples, or no such thing.
#[derive(Serialize)]
struct Row<'r> {
    scenario: &'r str,
    system: &'r str,
    trial: u32,
    phase: &'r str,
    operation: &'r str,
    valid: bool,
    interrupted: bool,
    reasons: String,
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
    trial_cpu_per_completed_order_ms: Option<f64>,
    trial_rss_peak_bytes: u64,
    trial_send_lag_p99_us: u64,
    trial_verdict: &'static str,
    trial_lost_count: Option<u64>,
    trial_double_charge_count: Option<u64>,
    trial_stuck_count: Option<u64>,
    trial_told_error_then_charged_count: Option<u64>,
}

/// Writes the table of `run` at `path`.
pub(super) fn write(run: &Run, path: &Path) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for trial in &run.trials {
        for operation in trial.manifest.requests.keys() {
            let phases = 0..trial.manifest.phases.len();
            for figures in phases.filter_map(|index| Figures::of(trial, index, operation)) {
                writer.serialize(row(trial, operation, &figures))?;
            }
        }
    }
    atomic_write::write(path, &writer.into_inner()?)
}

fn row<'r>(trial: &'r Trial, operation: &'r str, figures: &'r Figures) -> Row<'r> {
    let Figures { phase, counts, accepted, felt, service, completed, .. } = figures;
    let manifest = &trial.manifest;
    let has_orders = operation == "place";
    Row {
        scenario: &manifest.scenario,
        system: &manifest.system,
        trial: manifest.trial,
        phase: &phase.name,
        operation,
        valid: manifest.validity.valid,
        interrupted: manifest.validity.interrupted,
        reasons: manifest.validity.sentences().join("; "),
        phase_from_s: phase.from_s,
        phase_to_s: phase.to_s,
        offered_count: counts.scheduled,
        ok_count: counts.ok,
        failed_count: counts.failed,
        unknown_count: counts.unknown,
        dropped_count: counts.dropped,
        unfinished_count: counts.unfinished,
        failed_share: figures.failed_share().map(|share| rounded(share, 1e6)),
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
        goodput_per_s: has_orders.then(|| rounded(figures.goodput_per_s(), 1e3)),
        trial_cpu_per_completed_order_ms: manifest
            .cost
            .cpu_ms_per_completed_order
            .map(|ms| rounded(ms, 1e4)),
        trial_rss_peak_bytes: manifest.cost.rss_peak_bytes,
        trial_send_lag_p99_us: manifest.generator.lag_p99_us,
        trial_verdict: verdict_word(trial),
        trial_lost_count: violations(trial, "lost"),
        trial_double_charge_count: violations(trial, "double-charge"),
        trial_stuck_count: violations(trial, "stuck"),
        trial_told_error_then_charged_count: odd(trial, Class::ToldErrorThenCharged),
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

fn finite(time: Option<Time>) -> Option<f64> {
    time.map(|time| time.ms).filter(|ms| ms.is_finite())
}

fn rounded(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}

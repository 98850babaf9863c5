//! The rows of what each system paid: CPU, memory, processes; by scenario and trial by trial.

use serde::Serialize;

use super::tables::place;
use crate::compare::{Comparison, Contestant, Spread, trusted};
use crate::figure_text::{NOTHING, cpu, shown};
use crate::{exclusion, palette, words};
use record::read::{Run, Trial};

const MIB: f64 = 1_048_576.0;
/// The outside world, in no cost of a system.
const OUTSIDE: [&str; 2] = ["provider", record::GENERATOR];

/// What the run's systems paid; empty if nobody watched.
#[derive(Serialize)]
pub(super) struct Costs {
    lines: Vec<CostLine>,
    trials: Vec<CostRow>,
}

/// One system under one scenario.
#[derive(Serialize)]
struct CostLine {
    scenario: String,
    system: String,
    colour: usize,
    excluded: String,
    per_order: String,
    /// The length of its bar, percent of the longest.
    bar: f64,
    memory: String,
    fsync: String,
    processes: String,
}

/// What one trial spent.
#[derive(Serialize)]
struct CostRow {
    place: String,
    is_excluded: bool,
    per_order: String,
    orders: String,
    system_cpu: String,
    by_process: String,
    memory: String,
}

pub(super) fn costs(run: &Run, comparison: &Comparison<'_>) -> Costs {
    let is_watched = |trial: &&Trial| !trial.manifest.cost.cpu_s.is_empty();
    let trials: Vec<_> = run.trials.iter().filter(is_watched).map(cost_row).collect();
    if trials.is_empty() {
        return Costs { lines: Vec::new(), trials };
    }
    let all =
        || comparison.scenarios.iter().flat_map(|s| s.contestants.iter().map(move |c| (s, c)));
    let longest = all().filter_map(|(_, one)| median(one)).fold(0.0, f64::max);
    let line = |(scenario, one): (&crate::compare::Scenario<'_>, &Contestant<'_>)| CostLine {
        scenario: scenario.name.to_owned(),
        system: one.name.to_owned(),
        colour: palette::place(one.order),
        excluded: exclusion::of_all(one).unwrap_or_default(),
        per_order: cpu(one),
        bar: (median(one).unwrap_or(0.0) / longest.max(1e-9) * 100.0).round(),
        memory: of_trials(one, |trial| trial.manifest.cost.rss_peak_bytes as f64 / MIB, mebibytes),
        fsync: of_trials(one, |t| t.manifest.fsync.before_p50_us as f64 / 1e3, words::millis),
        processes: processes(one),
    };
    Costs { lines: all().map(line).collect(), trials }
}

fn median(one: &Contestant<'_>) -> Option<f64> {
    Some(one.spread(|trial| trial.manifest.cost.cpu_ms_per_completed_order)?.median)
}

/// Zero is what a record says that knows nothing.
fn of_trials(one: &Contestant<'_>, of: fn(&Trial) -> f64, text: fn(f64) -> String) -> String {
    let spread: Option<Spread> = one.spread(|trial| Some(of(trial)).filter(|value| *value > 0.0));
    shown(spread, one.trusted().len(), text)
}

/// How many processes the system was, and which.
fn processes(one: &Contestant<'_>) -> String {
    let Some(trial) = one.trials.first() else { return NOTHING.to_owned() };
    let names = trial.manifest.cost.cpu_s.keys().map(String::as_str);
    let names: Vec<_> = names.filter(|name| !OUTSIDE.contains(name)).collect();
    if names.is_empty() {
        NOTHING.to_owned()
    } else {
        format!("{} ({})", names.len(), names.join(", "))
    }
}

fn cost_row(trial: &Trial) -> CostRow {
    let cost = &trial.manifest.cost;
    let seconds = |s: f64| format!("{} s", words::digits(s));
    let process = |(name, cpu_s): (&String, &f64)| format!("{name} {}", seconds(*cpu_s));
    CostRow {
        place: format!("{}/{}", trial.manifest.scenario, place(trial)),
        is_excluded: !trusted(trial),
        per_order: cost
            .cpu_ms_per_completed_order
            .map_or_else(|| NOTHING.to_owned(), words::millis),
        orders: words::count(cost.completed_orders),
        system_cpu: seconds(cost.system_cpu_s),
        by_process: cost.cpu_s.iter().map(process).collect::<Vec<_>>().join(", "),
        memory: mebibytes(cost.rss_peak_bytes as f64 / MIB),
    }
}

fn mebibytes(mib: f64) -> String {
    format!("{} MiB", words::digits(mib))
}

//! The rows of the page's tables, as text.

use serde::Serialize;

use crate::audit_tables;
use crate::compare::{Contestant, Scenario, trusted};
use crate::figure_text::{share, shown, time_of};
use crate::figures::{Figures, attempts_each};
use crate::violation_text::word_of;
use crate::words;
use record::Answer;
use record::read::{Run, Trial};

/// One system in one phase.
#[derive(Serialize)]
pub(super) struct PhaseRow {
    phase: String,
    seconds: String,
    system: String,
    is_excluded: bool,
    offered: String,
    attempts: String,
    ok: String,
    not_ok: String,
    accepted: [String; 3],
    felt_p99: String,
    felt_max: String,
    completed: [String; 3],
    goodput: String,
}

/// One trial's audit.
#[derive(Serialize)]
pub(super) struct AuditRow {
    place: String,
    /// Where its page is; empty if it has none.
    page: String,
    verdict: String,
    is_good: bool,
    counts: String,
    found: Vec<String>,
    oddities: Vec<String>,
}

/// One trial's generator.
#[derive(Serialize)]
pub(super) struct GeneratorRow {
    place: String,
    is_excluded: bool,
    lag: [String; 3],
    cpu: String,
    run_queue: String,
    steal: String,
    hiccup: [String; 2],
    fsync_before: String,
    fsync_after: String,
}

/// Phase by phase, then system by system.
pub(super) fn phases(scenario: &Scenario<'_>) -> Vec<PhaseRow> {
    let pairs = scenario
        .phases()
        .iter()
        .flat_map(|phase| scenario.contestants.iter().map(move |one| (phase, one)));
    pairs
        .map(|(phase, one)| PhaseRow {
            phase: phase.name.clone(),
            seconds: format!("{} to {} s", phase.from_s, phase.to_s),
            ..phase_row(&phase.name, one)
        })
        .collect()
}

fn phase_row(phase: &str, one: &Contestant<'_>) -> PhaseRow {
    let offered = one.spread(|trial| {
        let figures = Figures::named(trial, phase)?;
        Some(figures.counts.scheduled as f64 / figures.seconds())
    });
    let goodput = one.spread(|trial| {
        let has_orders = trial.has_orders();
        Figures::named(trial, phase).filter(|_| has_orders).map(|figures| figures.goodput_per_s())
    });
    let attempts = one.spread(|trial| {
        let phase = trial.manifest.phases.iter().find(|known| known.name == phase)?;
        attempts_each(trial, phase, trial.main_operation())
    });
    let accepted = |q: f64| time_of(one, phase, |figures| figures.accepted.quantile(q));
    let completed = |q: f64| time_of(one, phase, |figures| figures.completed.quantile(q));
    PhaseRow {
        phase: String::new(),
        seconds: String::new(),
        system: one.name.to_owned(),
        is_excluded: crate::exclusion::of_all(one).is_some(),
        offered: shown(offered, one.trusted().len(), words::digits),
        attempts: shown(attempts, one.trusted().len(), words::digits),
        ok: share(one, phase, Figures::ok_share),
        not_ok: share(one, phase, Figures::failed_share),
        accepted: [0.5, 0.9, 0.99].map(accepted),
        felt_p99: time_of(one, phase, |figures| figures.felt.quantile(0.99)),
        felt_max: time_of(one, phase, |figures| figures.felt.max()),
        completed: [
            completed(0.5),
            completed(0.99),
            time_of(one, phase, |figures| figures.completed.max()),
        ],
        goodput: shown(goodput, one.trusted().len(), words::digits),
    }
}

/// Every trial's audit, also a missing one.
pub(super) fn audits(scenario: &Scenario<'_>) -> Vec<AuditRow> {
    trials(scenario).map(audit_row).collect()
}

fn audit_row(trial: &Trial) -> AuditRow {
    let mut row = AuditRow {
        place: place(trial),
        page: page(trial),
        verdict: word_of(trial).to_owned(),
        is_good: trial.audit.as_ref().is_some_and(|audit| audit.verdict == Answer::True),
        counts: counts(trial),
        found: Vec::new(),
        oddities: Vec::new(),
    };
    let Some(audit) = &trial.audit else { return row };
    row.found = audit.sentences();
    let line = |finding: &record::Finding| {
        format!("{} {}: {}", words::count(finding.count), finding.class, finding.meaning)
    };
    row.found.extend(audit.violations.iter().filter(|finding| finding.count > 0).map(line));
    row.oddities = audit.oddities.iter().filter(|finding| finding.count > 0).map(line).collect();
    row
}

fn page(trial: &Trial) -> String {
    let file = trial.folder.join(audit_tables::FILE);
    if audit_tables::has_page(trial) { file.display().to_string() } else { String::new() }
}

/// The sums behind the verdict; empty without one.
pub(crate) fn counts(trial: &Trial) -> String {
    let Some(counts) = trial.audit.as_ref().map(|audit| &audit.counts) else {
        return String::new();
    };
    let parts = [
        ("asked", counts.asked),
        ("acknowledged", counts.acknowledged),
        ("failed", counts.failed),
        ("unknown", counts.unknown),
        ("orders", counts.orders),
        ("paid", counts.paid),
        ("declined", counts.declined),
        ("pending", counts.pending),
        ("captures", counts.captures),
    ];
    parts.map(|(what, count)| format!("{what} {}", words::count(count))).join(", ")
}

/// How the generator fared, trial by trial.
pub(super) fn generator(run: &Run) -> Vec<GeneratorRow> {
    run.trials.iter().map(generator_row).collect()
}

fn generator_row(trial: &Trial) -> GeneratorRow {
    let (generator, fsync) = (&trial.manifest.generator, &trial.manifest.fsync);
    let micros = |us: u64| words::millis(us as f64 / 1e3);
    let disk = |p50: u64, p99: u64| match (p50, p99) {
        (0, 0) => "–".to_owned(),
        _ => format!("{} / {}", micros(p50), micros(p99)),
    };
    GeneratorRow {
        place: format!("{}/{}", trial.manifest.scenario, place(trial)),
        is_excluded: !trusted(trial),
        lag: [generator.lag_p50_us, generator.lag_p99_us, generator.lag_max_us].map(micros),
        cpu: words::percent(generator.cpu_share),
        run_queue: words::percent(generator.run_queue_share),
        steal: words::percent(generator.steal_share),
        hiccup: [generator.hiccup_p99_us, generator.hiccup_max_us].map(micros),
        fsync_before: disk(fsync.before_p50_us, fsync.before_p99_us),
        fsync_after: disk(fsync.after_p50_us, fsync.after_p99_us),
    }
}

fn trials<'s>(scenario: &'s Scenario<'_>) -> impl Iterator<Item = &'s Trial> {
    scenario.contestants.iter().flat_map(|one| one.trials.iter().copied())
}

/// Where a trial's row belongs, within its scenario.
pub(super) fn place(trial: &Trial) -> String {
    format!("{}/{}", trial.manifest.system, trial.manifest.trial)
}

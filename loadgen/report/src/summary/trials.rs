//! `trials.csv`: what is of a whole trial, a row each.

use std::path::Path;

use serde::Serialize;

use super::super::compare::trusted;
use super::{odd, rounded, verdict_word, violations};
use record::read::{Run, Trial};
use record::{Class, atomic_write};

/// One row; units last in the names. Empty: not measured, not judged, or no such thing.
#[derive(Serialize)]
struct Row<'r> {
    run: &'r str,
    revision: &'r str,
    scenario: &'r str,
    system: &'r str,
    trial: u32,
    rerun: u32,
    seed: u64,
    started_at_us: i64,
    schedule_hash: &'r str,
    operations_hash: &'r str,
    valid: bool,
    interrupted: bool,
    aborted: bool,
    reasons: String,
    blurs: String,
    load_s: u32,
    drained_s: f64,
    send_lag_p50_us: u64,
    send_lag_p99_us: u64,
    send_lag_max_us: u64,
    generator_cpu_share: f64,
    generator_run_queue_share: f64,
    steal_share: f64,
    hiccup_p99_us: u64,
    fsync_before_p50_us: u64,
    fsync_before_p99_us: u64,
    fsync_after_p50_us: u64,
    fsync_after_p99_us: u64,
    completed_orders_count: u64,
    system_cpu_s: f64,
    cpu_per_completed_order_ms: Option<f64>,
    rss_peak_bytes: u64,
    verdict: &'static str,
    audited_orders_count: Option<u64>,
    violations_count: Option<u64>,
    lost_count: Option<u64>,
    double_charge_count: Option<u64>,
    stuck_count: Option<u64>,
    told_error_then_charged_count: Option<u64>,
}

/// Writes the table of `run` at `path`.
pub(super) fn write(run: &Run, path: &Path) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for trial in &run.trials {
        writer.serialize(row(&run.name, trial))?;
    }
    atomic_write::write(path, &writer.into_inner()?)
}

fn row<'r>(run: &'r str, trial: &'r Trial) -> Row<'r> {
    let manifest = &trial.manifest;
    let (generator, cost, fsync) = (&manifest.generator, &manifest.cost, &manifest.fsync);
    let audit = trial.audit.as_ref();
    let blurs: Vec<String> = manifest.validity.blurs.iter().map(ToString::to_string).collect();
    Row {
        run,
        revision: &manifest.revision,
        scenario: &manifest.scenario,
        system: &manifest.system,
        trial: manifest.trial,
        rerun: manifest.rerun,
        seed: manifest.seed,
        started_at_us: manifest.started_at_us,
        schedule_hash: &manifest.schedule_hash,
        operations_hash: &manifest.operations_hash,
        valid: trusted(trial),
        interrupted: manifest.validity.interrupted,
        aborted: manifest.validity.aborted.is_some(),
        reasons: manifest.validity.sentences().join("; "),
        blurs: blurs.join("; "),
        load_s: manifest.duration_s,
        drained_s: rounded(manifest.drained_s, 1e3),
        send_lag_p50_us: generator.lag_p50_us,
        send_lag_p99_us: generator.lag_p99_us,
        send_lag_max_us: generator.lag_max_us,
        generator_cpu_share: rounded(generator.cpu_share, 1e6),
        generator_run_queue_share: rounded(generator.run_queue_share, 1e6),
        steal_share: rounded(generator.steal_share, 1e6),
        hiccup_p99_us: generator.hiccup_p99_us,
        fsync_before_p50_us: fsync.before_p50_us,
        fsync_before_p99_us: fsync.before_p99_us,
        fsync_after_p50_us: fsync.after_p50_us,
        fsync_after_p99_us: fsync.after_p99_us,
        completed_orders_count: cost.completed_orders,
        system_cpu_s: rounded(cost.system_cpu_s, 1e3),
        cpu_per_completed_order_ms: cost.cpu_ms_per_completed_order.map(|ms| rounded(ms, 1e4)),
        rss_peak_bytes: cost.rss_peak_bytes,
        verdict: verdict_word(trial),
        audited_orders_count: audit.map(|audit| audit.counts.n()),
        violations_count: audit.map(|audit| audit.violations.iter().map(|found| found.count).sum()),
        lost_count: violations(trial, "lost"),
        double_charge_count: violations(trial, "double-charge"),
        stuck_count: violations(trial, "stuck"),
        told_error_then_charged_count: odd(trial, Class::ToldErrorThenCharged),
    }
}

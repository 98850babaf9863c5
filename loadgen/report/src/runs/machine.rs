//! The machine of two runs: whether it is the same, and what it changed by, told by what no system has a part in.

use serde::Serialize;

use crate::compare::{Spread, trusted};
use record::Manifest;
use record::read::{Run, Trial};

/// Facts that are the same on the same machine.
const FACTS: [&str; 6] =
    ["host", "cpu", "memory", "generator cores", "system cores", "file system of the data"];
const MEMORY_TOLERANCE: f64 = 0.02;
/// An order waits for so many fsyncs at most, one after another: with a queue outbox, charge, settlement's record,
/// its message and the order's end; the rest is for waiting behind others' fsyncs.
const FSYNCS: f64 = 10.0;

/// What the machine changed by from A to B; `None` where a record does not say.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Machine {
    /// Median fdatasync of 4 KiB beside the trials, B's minus A's, ms.
    pub fsync_change_ms: Option<f64>,
    /// The generator's CPU per request, B's as a multiple of A's: the same work in both runs, if the generator is the
    /// same.
    pub cpu_ratio: Option<f64>,
}

/// What differs of the machine.
pub(super) fn differs(a: &Run, b: &Run) -> Vec<String> {
    let of = |run: &Run, fact: &str| run.environment.get(fact).cloned();
    let differing = FACTS.iter().filter_map(|fact| {
        let (in_a, in_b) = (of(a, fact), of(b, fact));
        let said = |value: Option<String>| value.unwrap_or_else(|| "not known".to_owned());
        let same = in_a == in_b || (*fact == "memory" && about_the_same(&in_a, &in_b));
        (!same).then(|| format!("{fact}: {} in A, {} in B", said(in_a), said(in_b)))
    });
    differing.collect()
}

/// "24684092 kB": the kernel keeps a little more or less of it for itself from version to version.
fn about_the_same(a: &Option<String>, b: &Option<String>) -> bool {
    let kib = |text: &Option<String>| text.as_ref()?.split(' ').next()?.parse::<f64>().ok();
    kib(a).zip(kib(b)).is_some_and(|(a, b)| (a - b).abs() <= a * MEMORY_TOLERANCE)
}

impl Machine {
    pub(super) fn of(a: &Run, b: &Run) -> Self {
        let both =
            |value: fn(&Manifest) -> Option<f64>| Some((median(a, value)?, median(b, value)?));
        Self {
            fsync_change_ms: both(fsync_ms).map(|(in_a, in_b)| in_b - in_a),
            cpu_ratio: both(cpu_per_request_s).map(|(in_a, in_b)| in_b / in_a),
        }
    }

    /// The times by which something that does the same may have changed: at least `least`.
    pub(super) fn factor(&self, least: f64) -> f64 {
        let ratio = self.cpu_ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0).unwrap_or(1.0);
        least.max(ratio).max(1.0 / ratio)
    }

    /// What an order's time may have changed by for the disk alone, ms.
    pub(super) fn disk_ms(&self) -> f64 {
        self.fsync_change_ms.unwrap_or(0.0).abs() * FSYNCS
    }
}

fn median(run: &Run, value: fn(&Manifest) -> Option<f64>) -> Option<f64> {
    let trials = run.trials.iter().filter(|trial| trusted(trial));
    Spread::of(trials.filter_map(|trial: &Trial| value(&trial.manifest)).collect())
        .map(|s| s.median)
}

fn fsync_ms(manifest: &Manifest) -> Option<f64> {
    let fsync = &manifest.fsync;
    let known = fsync.before_p50_us > 0 && fsync.after_p50_us > 0;
    known.then(|| (fsync.before_p50_us + fsync.after_p50_us) as f64 / 2e3)
}

fn cpu_per_request_s(manifest: &Manifest) -> Option<f64> {
    let requests: u64 = manifest.requests.values().map(|counts| counts.recorded()).sum();
    let known = requests > 0 && manifest.generator.cpu_s > 0.0;
    known.then(|| manifest.generator.cpu_s / requests as f64)
}

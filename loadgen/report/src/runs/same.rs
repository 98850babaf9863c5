//! Whether two runs asked the same of a system, under the same conditions.

use super::is_pair;
use record::read::Trial;
use record::{GeneratorLimits, Manifest};

/// Settings that the harness gives: where they differ, the question did.
const GIVEN: [&str; 8] = [
    "client time-out",
    "requests in flight, at most",
    "retries of customers",
    "provider",
    "mix",
    "loop",
    "links",
    "data disk",
];

/// What differs of the conditions: the load's shape, what was to be harmed, the generator's bounds.
pub(super) fn conditions(a: &Manifest, b: &Manifest) -> Vec<String> {
    let differing = [
        ("the rate curves", a.offered != b.offered),
        ("the phases", a.phases != b.phases),
        ("the faults", a.faults != b.faults),
        ("warm-up or duration", (a.warm_up_s, a.duration_s) != (b.warm_up_s, b.duration_s)),
        ("time-outs, bounds or objective", !limits_agree(a.limits, b.limits)),
    ];
    let shapes = differing.iter().filter(|(_, differs)| *differs);
    let shapes = shapes.map(|(what, _)| format!("{what} differ"));
    shapes
        .chain(settings(a, b).filter(|(key, _)| GIVEN.contains(key)).map(|(_, text)| text))
        .collect()
}

/// What an older record does not know differs from nothing.
fn limits_agree(a: GeneratorLimits, b: GeneratorLimits) -> bool {
    let known = a.send_lag_us > 0 && b.send_lag_us > 0;
    let without = |limits| GeneratorLimits { send_lag_us: 0, ..limits };
    if known { a == b } else { without(a) == without(b) }
}

/// Settings that are the system's own and differ.
pub(super) fn own_settings(a: &Manifest, b: &Manifest) -> Vec<String> {
    settings(a, b).filter(|(key, _)| !GIVEN.contains(key)).map(|(_, text)| text).collect()
}

/// Those of both; one that a record does not know, mostly because it is older, says nothing.
fn settings<'m>(a: &'m Manifest, b: &'m Manifest) -> impl Iterator<Item = (&'m str, String)> {
    a.parity.iter().filter_map(|(key, in_a)| {
        let in_b = b.parity.get(key).filter(|in_b| *in_b != in_a)?;
        Some((key.as_str(), format!("{key}: {in_a} in A, {in_b} in B")))
    })
}

/// Trials that were asked the same, each used once.
pub(super) fn pairs<'t>(a: &[&'t Trial], b: &[&'t Trial]) -> Vec<(&'t Trial, &'t Trial)> {
    let mut left = b.to_vec();
    let mut pairs = Vec::new();
    for one in a {
        if let Some(index) = left.iter().position(|other| is_pair(one, other)) {
            pairs.push((*one, left.remove(index)));
        }
    }
    pairs
}

/// Why there is no pair.
pub(super) fn unlike(a: &[&Trial], b: &[&Trial]) -> String {
    let seeds = |trials: &[&Trial]| {
        let seeds: Vec<String> = trials.iter().map(|t| t.manifest.seed.to_string()).collect();
        seeds.join(", ")
    };
    let (in_a, in_b) = (seeds(a), seeds(b));
    if in_a == in_b {
        return "the schedules differ although the seeds do not: the scenario or its mix was changed".to_owned();
    }
    format!("the schedules differ: the seeds are {in_a} in A and {in_b} in B")
}

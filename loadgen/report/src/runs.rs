//! Two runs of different days or revisions, system by system: what of them may be compared, and what differs.
//!
//! Trials are paired by what they were asked, to the byte. Between runs the machine itself changes: what it changed
//! by is measured by what no system has a part in, and claimed of nobody.

mod figure;
mod machine;
mod same;
mod text;

use std::path::Path;

use anyhow::ensure;
use serde::Serialize;

use crate::compare::{Comparison, Contestant, Scenario, trusted};
use crate::{page, words};
pub use figure::{Claim, Figure};
pub use machine::Machine;
use record::files;
use record::read::{Run, Trial};

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// The first run.
    pub a: Side,
    /// The second run.
    pub b: Side,
    /// What the machine changed by.
    pub machine: Machine,
    /// Whether the card network decided and delayed each charge in B as in A; else pairs differ by its luck, too.
    pub same_luck: bool,
    /// Systems under scenarios that could be compared.
    pub systems: Vec<System>,
    /// Those that could not.
    pub refused: Vec<Refused>,
}

/// One of the runs.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The results folder's name.
    pub run: String,
    /// The revisions of the sources.
    pub revision: String,
    /// When its first trial began, UTC.
    pub began: String,
    /// How many trials it has.
    pub trials: usize,
}

/// A system under a scenario, in both runs.
#[derive(Clone, Debug, Serialize)]
pub struct System {
    /// The scenario's name.
    pub scenario: String,
    /// The system's name.
    pub system: String,
    /// The phase that the figures are of.
    pub phase: String,
    /// How many pairs of trials were asked the same.
    pub pairs: usize,
    /// Settings of its own that differ: a difference may be theirs.
    pub settings: Vec<String>,
    /// What was compared.
    pub figures: Vec<Figure>,
    /// Violations of all trials by class where the runs differ: class, in A, in B.
    pub violations: Vec<(String, u64, u64)>,
}

/// A system under a scenario that could not be compared.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// The scenario's name.
    pub scenario: String,
    /// The system's name.
    pub system: String,
    /// Why not.
    pub why: Vec<String>,
}

/// Compares the results folders `a` and `b`.
///
/// # Errors
/// If one cannot be read, they are of different machines, or nothing in them was asked the same.
pub fn compare(a: &Path, b: &Path) -> anyhow::Result<Compared> {
    compare_runs(&Run::read(a)?, &Run::read(b)?)
}

fn compare_runs(a: &Run, b: &Run) -> anyhow::Result<Compared> {
    let differs = machine::differs(a, b);
    ensure!(
        differs.is_empty(),
        "{} and {} are of different machines, of which nothing can be compared: {}; expected two runs of one machine",
        a.name,
        b.name,
        differs.join("; ")
    );
    let machine = Machine::of(a, b);
    let (mut systems, mut refused) = (Vec::new(), Vec::new());
    let (in_a, in_b) = (Comparison::of(a), Comparison::of(b));
    for (scenario, one, other) in both(&in_a, &in_b) {
        match System::of(scenario, one, other, &machine) {
            Ok(system) => systems.push(system),
            Err(why) => refused.push(Refused {
                scenario: scenario.name.to_owned(),
                system: one.name.to_owned(),
                why,
            }),
        }
    }
    let why = || refused.iter().map(text::refusal).collect::<Vec<_>>().join("; ");
    ensure!(
        !systems.is_empty(),
        "nothing in {} and {} can be compared: {}; run the same scenarios with the same seed and settings",
        a.name,
        b.name,
        if refused.is_empty() { "they share no system under a scenario".to_owned() } else { why() }
    );
    let luck = |run: &Run| run.environment.get(files::LUCK).cloned();
    let same_luck = luck(a).is_some() && luck(a) == luck(b);
    Ok(Compared { a: Side::of(a), b: Side::of(b), machine, same_luck, systems, refused })
}

/// What is in both: the scenario as `a` has it, and the system in `a` and in `b`.
fn both<'c, 'r>(
    a: &'c Comparison<'r>,
    b: &'c Comparison<'r>,
) -> Vec<(&'c Scenario<'r>, &'c Contestant<'r>, &'c Contestant<'r>)> {
    let mut both = Vec::new();
    for scenario in &a.scenarios {
        let other = b.scenarios.iter().find(|other| other.name == scenario.name);
        let others = other.map_or(&[][..], |other| &other.contestants);
        for one in &scenario.contestants {
            let other = others.iter().find(|other| other.name == one.name);
            both.extend(other.map(|other| (scenario, one, other)));
        }
    }
    both
}

impl Side {
    fn of(run: &Run) -> Self {
        Self {
            run: run.name.clone(),
            revision: page::revision(run),
            began: words::utc(run.began_us()),
            trials: run.trials.len(),
        }
    }
}

impl System {
    fn of(
        scenario: &Scenario<'_>,
        a: &Contestant<'_>,
        b: &Contestant<'_>,
        machine: &Machine,
    ) -> Result<Self, Vec<String>> {
        let (in_a, in_b) = (a.trusted(), b.trusted());
        let (Some(first), Some(other)) = (in_a.first(), in_b.first()) else {
            let none = |run, trials: &[&Trial]| {
                trials.is_empty().then(|| format!("{run} has no trial of it that may be believed"))
            };
            return Err(none("A", &in_a).into_iter().chain(none("B", &in_b)).collect());
        };
        let differs = same::conditions(&first.manifest, &other.manifest);
        if !differs.is_empty() {
            return Err(differs);
        }
        let pairs = same::pairs(&in_a, &in_b);
        if pairs.is_empty() {
            return Err(vec![same::unlike(&in_a, &in_b)]);
        }
        let phase = scenario.main_phase().map_or("", |phase| phase.name.as_str());
        Ok(Self {
            scenario: scenario.name.to_owned(),
            system: a.name.to_owned(),
            phase: phase.to_owned(),
            pairs: pairs.len(),
            settings: same::own_settings(&first.manifest, &other.manifest),
            figures: figure::figures(&pairs, phase, scenario.is_shop(), machine),
            violations: violations(a, b),
        })
    }
}

/// Classes that one of the runs met more often, over all audited trials.
fn violations(a: &Contestant<'_>, b: &Contestant<'_>) -> Vec<(String, u64, u64)> {
    let count = |one: &Contestant<'_>, class: &str| {
        let audits = one.trials.iter().filter_map(|trial| trial.audit.as_ref());
        let found = audits.flat_map(|audit| &audit.violations).filter(|f| f.class == class);
        found.map(|finding| finding.count).sum::<u64>()
    };
    let known = a.trials.iter().chain(&b.trials).filter_map(|trial| trial.audit.as_ref());
    let mut classes: Vec<&str> =
        known.flat_map(|audit| &audit.violations).map(|found| found.class.as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    let both =
        classes.into_iter().map(|class| (class.to_owned(), count(a, class), count(b, class)));
    both.filter(|(_, in_a, in_b)| in_a != in_b).collect()
}

/// Whether two trials may be paired: both to be believed, and asked the same at the same instants.
fn is_pair(one: &Trial, other: &Trial) -> bool {
    let asked = |trial: &Trial| {
        (trial.manifest.schedule_hash.clone(), trial.manifest.operations_hash.clone())
    };
    trusted(one) && trusted(other) && asked(one) == asked(other)
}

#[cfg(test)]
mod tests;

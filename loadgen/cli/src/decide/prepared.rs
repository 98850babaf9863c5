//! What is run for claims, ready to be run: which trials, and which of them are there. It starts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use decide::Claim;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use record::files;
use record::read::CUT_OFF;
use report::decided::{self, Plan, Planned};
use scenario::Scenario;
use supervise::launch;

use super::work::{Group, groups};
use crate::results;
use crate::run::Run;
use crate::run::under_way::Place;

/// What is run, and why.
pub(super) struct Work {
    pub(super) run: Run,
    pub(super) plan: Plan,
    pub(super) claims: Vec<Claim>,
    /// The file that each scenario is made of.
    pub(super) bases: BTreeMap<String, String>,
}

impl Work {
    /// Checks what can be checked before anything is started.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (planned, claim) in self.plan.claims.iter().zip(&self.claims) {
            for cell in &planned.cells {
                let (Some(experiment), Some(order)) =
                    (self.experiment(&cell.scenario), self.order(&cell.system))
                else {
                    bail!("{} on {} is not laid out", cell.scenario, cell.system);
                };
                let checked = self.run.check_pair(experiment, &self.run.systems[order]);
                checked.with_context(|| planned.path.display().to_string())?;
                let phases = has_phases(&experiment.scenario, claim);
                phases.with_context(|| planned.path.display().to_string())?;
            }
        }
        self.run.systems.iter().try_for_each(launch::check_programs)
    }

    fn experiment(&self, name: &str) -> Option<&faults::Experiment> {
        self.run.experiments.iter().find(|experiment| experiment.scenario.name == name)
    }

    fn order(&self, system: &str) -> Option<usize> {
        self.run.systems.iter().position(|one| one.name == system)
    }

    pub(super) fn base(&self, scenario: &str) -> String {
        self.bases.get(scenario).cloned().unwrap_or_default()
    }

    pub(super) fn load_s(&self, scenario: &str) -> f64 {
        self.experiment(scenario).map_or(0.0, |experiment| experiment.scenario.duration_s())
    }

    pub(super) fn asked(&self) -> Vec<String> {
        let both = self.plan.claims.iter().zip(&self.claims);
        both.filter(|(planned, _)| planned.asked).map(|(_, claim)| claim.id.clone()).collect()
    }

    /// The claims that this block may decide something of. Facts are settled once their blocks are there.
    pub(super) fn open(
        &self,
        folder: &Path,
        block: u32,
    ) -> anyhow::Result<Vec<(&Planned, &Claim)>> {
        let decision = decided::decide(folder, &self.plan)?.decision;
        let both = decision.verdicts.iter().chain(&decision.controls);
        let settled: Vec<&str> = both
            .filter(|verdict| verdict.is_settled())
            .map(|verdict| verdict.claim.as_str())
            .collect();
        let all = self.plan.claims.iter().zip(&self.claims);
        let is_open = |(planned, claim): &(&Planned, &Claim)| {
            block <= self.plan.blocks_of(planned) && !settled.contains(&claim.id.as_str())
        };
        Ok(all.filter(is_open).collect())
    }

    /// A group's trials in a block, in a seeded random order, so that drift of the machine does not meet one arm alone.
    pub(super) fn places(
        &self,
        group: &Group,
        block: u32,
        refused: &BTreeMap<String, String>,
    ) -> Vec<Place<'_>> {
        let place = |(scenario, system): &(String, String)| {
            let (experiment, order) = (self.experiment(scenario)?, self.order(system)?);
            let system = &self.run.systems[order];
            Some(Place { experiment, order, system, number: block })
        };
        let able = group.pairs.iter().filter(|(scenario, _)| !refused.contains_key(scenario));
        let mut places: Vec<Place<'_>> = able.filter_map(place).collect();
        let seed = places.first().map_or(0, |place| place.experiment.scenario.seed);
        let seed = seed.wrapping_add(u64::from(block));
        places.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        places
    }

    /// How many blocks of a group there are before this one; what cannot be run is not missed.
    pub(super) fn blocks_there(
        &self,
        folder: &Path,
        group: &Group,
        block: u32,
        refused: &BTreeMap<String, String>,
    ) -> u32 {
        let has = |number: u32, (scenario, system): &(String, String)| {
            let place = folder.join(scenario).join(system).join(number.to_string());
            place.join(files::MANIFEST).is_file() || refused.contains_key(scenario)
        };
        let whole = |number: &u32| group.pairs.iter().all(|pair| has(*number, pair));
        (1..block).filter(whole).count() as u32
    }

    /// Whether all of a group's trials of a block are there, as they were meant.
    pub(super) fn is_there(
        &self,
        folder: &Path,
        group: &Group,
        block: u32,
        refused: &BTreeMap<String, String>,
    ) -> bool {
        let places = self.places(group, block, refused);
        places.iter().all(|place| is_whole(&trial_folder(folder, place)))
    }

    /// The loads of what is left of this block, and of the blocks after it.
    pub(super) fn later_s(
        &self,
        left: &[Group],
        open: &[(&Planned, &Claim)],
        block: u32,
    ) -> Vec<f64> {
        let loads = |group: &Group| -> Vec<f64> {
            group.pairs.iter().map(|(scenario, _)| self.load_s(scenario)).collect()
        };
        let whole = groups(&self.plan, open, |name| self.base(name), |name| self.load_s(name));
        let each: Vec<f64> = whole
            .iter()
            .flat_map(|group| {
                let blocks = group.blocks_after(block);
                loads(group).repeat(blocks as usize)
            })
            .collect();
        left.iter().flat_map(loads).chain(each).collect()
    }
}

/// Whether a scenario has the phases that a claim asks for.
fn has_phases(scenario: &Scenario, claim: &Claim) -> anyhow::Result<()> {
    let phases = scenario.phases();
    let names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
    let cells = claim.expect.iter().flat_map(|expect| expect.of.cells());
    let needed = claim.expect.iter().flat_map(|expect| expect.measure.phases());
    let mut wanted = cells.filter_map(|cell| cell.phase.as_deref()).chain(needed.copied());
    match wanted.find(|name| !names.contains(name)) {
        Some(name) => {
            bail!("{} has no phase {name:?}; it has {}", scenario.name, names.join(", "))
        }
        None => Ok(()),
    }
}

fn trial_folder(folder: &Path, place: &Place<'_>) -> PathBuf {
    let below = folder.join(&place.experiment.scenario.name).join(&place.system.name);
    below.join(place.number.to_string())
}

/// Whether a trial's record is all that it was meant to be.
fn is_whole(folder: &Path) -> bool {
    let read = record::read::Trial::read(folder);
    read.is_ok_and(|trial| trial.is_some_and(|trial| !trial.manifest.validity.interrupted))
}

/// Lays aside what a run that was killed or stopped left of a group, whole or not: its arms are compared, and the card
/// network had another luck then.
pub(super) fn clear(folder: &Path, places: &[Place<'_>]) -> anyhow::Result<()> {
    let folders = places.iter().map(|place| trial_folder(folder, place));
    for place in folders.filter(|folder| folder.exists()) {
        if !results::discard(&place) {
            results::lay_aside(&place, CUT_OFF)?;
        }
    }
    Ok(())
}

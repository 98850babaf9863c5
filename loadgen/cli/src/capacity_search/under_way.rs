//! The searches of all systems, side by side, with what their trials have said so far.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use tokio::sync::watch;

use super::Capacity;
use crate::Boxed;
use crate::quiet::Disturbances;
use crate::results;
use crate::run::{RunState, run_one};
use crate::selftest;
use crate::terminal::folded;
use crate::trial::{NothingMeasured, Trial};
use audit::capacity::replay::{self, Settings};
use audit::capacity::search::Search;
use audit::capacity::trial_at_rate::TrialAtRate;
use faults::Plan as Faults;
use record::read;
use scenario::system::SystemSpec;
use supervise::cores::Cores;
use supervise::launch::{Interrupted, Secrets};

impl Capacity {
    /// Searches; returns the results folder, if there are results, and the state of the trials.
    ///
    /// # Errors
    /// If the results cannot be written or a system cannot be started; trials that were finished
    /// before stay, with their report.
    pub fn run(
        &self,
        interrupt: watch::Receiver<bool>,
    ) -> Boxed<'_, anyhow::Result<(Option<PathBuf>, RunState)>> {
        Box::pin(self.all(interrupt))
    }

    async fn all(
        &self,
        interrupt: watch::Receiver<bool>,
    ) -> anyhow::Result<(Option<PathBuf>, RunState)> {
        self.check()?;
        let left_out = self.left_out();
        if !left_out.is_empty() {
            let name = &self.scenario.name;
            let left_out = left_out.join(", ");
            self.terminal.note(&format!("of {name} the curve and {left_out} are left out"));
        }
        let folder = results::new_folder(&self.out)?;
        let mut under_way = UnderWay::new(self, &folder);
        let result = under_way.fill(interrupt).await;
        let (steps, outcome) = (under_way.steps.len(), under_way.outcome);
        results::settle(folder, steps > 0, result.map(|()| outcome))
    }
}

/// The searches of all systems, side by side.
struct UnderWay<'a> {
    capacity: &'a Capacity,
    folder: &'a Path,
    settings: Settings,
    searches: Vec<Search>,
    /// Trials of each system and rate so far.
    numbers: BTreeMap<(usize, u32), u32>,
    steps: Vec<TrialAtRate>,
    outcome: RunState,
    /// The card network's secret, one for all trials.
    network: String,
    disturbances: Disturbances,
}

impl<'a> UnderWay<'a> {
    fn new(capacity: &'a Capacity, folder: &'a Path) -> Self {
        let settings = capacity.settings();
        let searches = capacity.systems.iter().map(|_| Search::new(settings.rules)).collect();
        Self {
            capacity,
            folder,
            settings,
            searches,
            numbers: BTreeMap::new(),
            steps: Vec::new(),
            outcome: RunState::default(),
            network: Secrets::draw_network(&Secrets::draw_luck()),
            disturbances: Disturbances::default(),
        }
    }

    async fn fill(&mut self, interrupt: watch::Receiver<bool>) -> anyhow::Result<()> {
        let (cores, mut facts) = results::machine(self.folder, &self.capacity.command)?;
        results::begin(self.folder, &mut facts)?;
        self.write_settings()?;
        let searched = self.search(&cores, &facts["revision"], interrupt).await;
        if self.steps.is_empty() {
            return searched;
        }
        let Capacity { out, terminal, .. } = self.capacity;
        facts.extend(self.disturbances.fact());
        self.outcome.unreported = !results::conclude(out, self.folder, facts, terminal);
        searched?;
        self.outcome.invalid |= self.searches.iter().any(|s| !s.answer().is_known());
        let searched = self.capacity.systems.iter().zip(&self.searches);
        let answer = |(system, search): (&SystemSpec, &Search)| {
            replay::Capacity::of(&system.name, search.answer(), &self.steps)
        };
        let answers: Vec<_> = searched.map(answer).collect();
        for capacity in &answers {
            terminal.say(&folded(&format!("{:<20} {}", capacity.system, capacity.text)));
            let used = capacity.used();
            if !used.is_empty() {
                terminal.say(&folded(&format!("    {used}")));
            }
        }
        replay::write(self.folder, &self.settings, Some(&answers))
    }

    fn write_settings(&self) -> anyhow::Result<()> {
        replay::write(self.folder, &self.settings, None)
    }

    /// One trial of each system in turn, in a seeded random order, so that drift of the machine does
    /// not meet one system alone.
    async fn search(
        &mut self,
        cores: &Cores,
        revision: &str,
        interrupt: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.capacity.scenario.seed);
        loop {
            let mut round: Vec<usize> = (0..self.searches.len()).collect();
            round.retain(|system| self.searches[*system].next().is_some());
            if round.is_empty() {
                return Ok(());
            }
            round.shuffle(&mut rng);
            for system in round {
                let Some(rate) = self.next(system, cores).await? else { continue };
                if *interrupt.borrow()
                    || !self.try_rate(system, rate, cores, revision, &interrupt).await?
                {
                    self.outcome.interrupted = true;
                    return Ok(());
                }
            }
        }
    }

    /// The next rate; the generator's bound is measured when a search first comes near it.
    async fn next(&mut self, system: usize, cores: &Cores) -> anyhow::Result<Option<u32>> {
        let next = self.searches[system].next();
        let is_measured = self.settings.generator_most_per_s.is_some();
        if is_measured || next.is_none_or(|rate| f64::from(rate) <= selftest::ALWAYS_PER_S) {
            return Ok(next);
        }
        let most = selftest::allowed(self.folder, cores).await?.max(selftest::ALWAYS_PER_S) as u32;
        self.settings.generator_most_per_s = Some(most);
        self.write_settings()?;
        self.searches.iter_mut().for_each(|search| search.limit(most));
        Ok(self.searches[system].next())
    }

    /// Runs one trial; false if it was interrupted.
    async fn try_rate(
        &mut self,
        system: usize,
        rate: u32,
        cores: &Cores,
        revision: &str,
        interrupt: &watch::Receiver<bool>,
    ) -> anyhow::Result<bool> {
        let scenario = self.capacity.at(rate);
        let number = self.numbers.entry((system, rate)).or_default();
        *number += 1;
        let spec = &self.capacity.systems[system];
        let folder = self.folder.join(&scenario.name).join(&spec.name).join(number.to_string());
        let trial = Trial {
            scenario: &scenario,
            faults: &Faults::default(),
            system: spec,
            system_order: u32::try_from(system).unwrap_or(u32::MAX),
            number: *number,
            rerun: 0,
            folder: folder.clone(),
            cores,
            command: &self.capacity.command,
            revision,
            keep_data: false,
            network: &self.network,
        };
        let Capacity { terminal, quiet, .. } = self.capacity;
        quiet.wait(cores, terminal, &mut interrupt.clone(), &mut self.disturbances).await;
        if let Err(error) = run_one(&trial, terminal, None, interrupt.clone()).await {
            results::discard(&folder);
            if error.is::<NothingMeasured>() || error.is::<Interrupted>() {
                return Ok(false);
            }
            return Err(error.context(format!("{} at {rate}/s, trial {number}", spec.name)));
        }
        let record = read::Trial::read(&folder)?.context("the record was just written")?;
        let step = TrialAtRate::of(&folder, &record, &self.settings.keeps);
        self.capacity.terminal.say(&folded(&step.to_string()));
        self.outcome.violated |= step.violated;
        if step.interrupted {
            self.steps.push(step);
            return Ok(false);
        }
        self.searches[system].add(rate, step.judged);
        self.steps.push(step);
        Ok(true)
    }
}

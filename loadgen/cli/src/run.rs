//! A run: every scenario on every system, trials interleaved, then the report.

mod ahead;
mod line;
pub(crate) mod under_way;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use tokio::sync::watch;

use crate::Boxed;
use crate::quiet::Quiet;
use crate::results;
use crate::selftest;
use crate::terminal::{Terminal, folded};
use faults::{Experiment, Planned};
use load::profile::Profile;
use scenario::Scenario;
use scenario::system::SystemSpec;
use supervise::cores::Cores;
use supervise::launch;

use crate::trial::{self, Finished, Trial};

use under_way::{Place, UnderWay};

/// What to run.
pub struct Run {
    /// Scenarios with their faults, in order.
    pub experiments: Vec<Experiment>,
    /// Systems, in order.
    pub systems: Vec<SystemSpec>,
    /// Repetitions of each pair.
    pub trials: u32,
    /// How often a trial whose record is void is run again, at the end of the run.
    pub reruns: u32,
    /// How long a trial waits for a quiet machine.
    pub quiet: Quiet,
    /// The folder of all results.
    pub out: PathBuf,
    /// Keep the databases.
    pub keep_data: bool,
    /// The luck of the card network; else it draws its own.
    pub luck: Option<String>,
    /// Who is told meanwhile.
    pub terminal: Terminal,
    /// The command line.
    pub command: Vec<String>,
}

/// The state of all trials together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// A trial is not valid.
    pub invalid: bool,
    /// An audit is false, or a valid trial broke a threshold.
    pub violated: bool,
    /// It was stopped.
    pub interrupted: bool,
    /// A scenario needs what this machine does not have; the others were run.
    pub not_run: bool,
    /// The records are whole, but their report could not be written.
    pub unreported: bool,
}

impl Run {
    /// Checks what can be checked before anything is started.
    ///
    /// # Errors
    /// If two would write into one folder, a fault harms a role that nobody plays, or a program is missing.
    pub fn check(&self) -> anyhow::Result<()> {
        let scenarios = self.scenarios().map(|s| (s.name.as_str(), s.path.as_path()));
        results::check_names("scenario", scenarios)?;
        let systems = self.systems.iter().map(|s| (s.name.as_str(), s.path.as_path()));
        results::check_names("system", systems)?;
        for experiment in &self.experiments {
            let able = |system: &&SystemSpec| self.lacks(experiment, system).is_none();
            // What nobody can take part in is a mistake of its file, told for the first.
            let any = self.systems.iter().any(|system| able(&system));
            for system in self.systems.iter().filter(|system| !any || able(system)) {
                self.check_faults(experiment, system)?;
            }
        }
        self.systems.iter().try_for_each(launch::check_programs)
    }

    fn scenarios(&self) -> impl Iterator<Item = &Scenario> {
        self.experiments.iter().map(|experiment| &experiment.scenario)
    }

    /// Checks that a system can meet a scenario.
    ///
    /// # Errors
    /// If it lacks what is harmed, or its file contradicts the faults.
    pub(crate) fn check_pair(
        &self,
        experiment: &Experiment,
        system: &SystemSpec,
    ) -> anyhow::Result<()> {
        if let Some(why) = self.lacks(experiment, system) {
            anyhow::bail!("{} has no part in {}: {why}", system.name, experiment.scenario.name);
        }
        self.check_faults(experiment, system)
    }

    fn check_faults(&self, experiment: &Experiment, system: &SystemSpec) -> anyhow::Result<()> {
        let path = PathBuf::from(format!("{}.toml", experiment.scenario.name));
        for faults in self.schedules(experiment, system) {
            faults::fits::check(system, &path, &faults)?;
        }
        Ok(())
    }

    /// The faults of each trial.
    fn schedules(
        &self,
        experiment: &Experiment,
        system: &SystemSpec,
    ) -> impl Iterator<Item = Vec<Planned>> {
        let Experiment { scenario, plan } = experiment;
        (1..=self.trials).map(|number| plan.schedule_of(trial::seed(scenario, number), system))
    }

    /// Why a system has no part in a scenario: it lacks what is harmed.
    fn lacks(&self, experiment: &Experiment, system: &SystemSpec) -> Option<String> {
        self.schedules(experiment, system).find_map(|faults| faults::fits::lacking(system, &faults))
    }

    /// Runs everything; returns the results folder, if there are results, and the state of the
    /// trials.
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
        let folder = results::new_folder(&self.out)?;
        let mut done = 0;
        let result = self.fill(&folder, interrupt, &mut done).await;
        results::settle(folder, done > 0, result)
    }

    /// Refuses a load that this generator could not be trusted with.
    pub(crate) async fn allow(&self, folder: &Path, cores: &Cores) -> anyhow::Result<()> {
        let peaks = self.scenarios().map(|s| Profile::new(s).peak_per_s());
        selftest::allow(peaks.fold(0.0, f64::max), folder, cores).await
    }

    /// Counts finished trials in `done`: on an error too, what is finished is reported.
    async fn fill(
        &self,
        folder: &Path,
        interrupt: watch::Receiver<bool>,
        done: &mut usize,
    ) -> anyhow::Result<RunState> {
        let (cores, mut facts) = results::machine(folder, &self.command)?;
        self.allow(folder, &cores).await?;
        results::begin(folder, &mut facts)?;
        let refused = self.refused(folder).await?;
        let apart = self.apart(&refused);
        let texts = refused.iter().map(|(name, why)| format!("{name} ({why})"));
        let texts: Vec<String> = texts.chain(apart).collect();
        if !texts.is_empty() {
            facts.insert("not run".to_owned(), texts.join("; "));
        }
        let revision = facts["revision"].clone();
        let mut under_way = UnderWay::new(self, folder, &cores, &revision, interrupt);
        under_way.outcome.not_run = !refused.is_empty();
        let result = under_way.run_all(self.places(&refused)).await;
        let outcome = under_way.outcome;
        *done = under_way.done;
        if *done == 0 {
            return result.map(|()| outcome);
        }
        facts.extend(under_way.facts());
        let reported = results::conclude(&self.out, folder, facts, &self.terminal);
        result.map(|()| RunState { unreported: !reported, ..outcome })
    }

    /// The scenarios that this machine cannot run, each with the reason; said at once.
    pub(crate) async fn refused(&self, folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
        let mut refused = BTreeMap::new();
        for experiment in &self.experiments {
            let name = &experiment.scenario.name;
            if let Some(why) = faults::requirements::lacks(experiment, folder).await? {
                self.terminal.say(&folded(&format!("{name:<16} not run: {why}")));
                refused.insert(name.clone(), why);
            }
        }
        Ok(refused)
    }

    /// The pairs of which the system has no part in the scenario, each with the reason; said at once.
    fn apart(&self, refused: &BTreeMap<String, String>) -> Vec<String> {
        let mut texts = Vec::new();
        let allowed = |e: &&Experiment| !refused.contains_key(&e.scenario.name);
        for experiment in self.experiments.iter().filter(allowed) {
            for system in &self.systems {
                if let Some(why) = self.lacks(experiment, system) {
                    let (scenario, system) = (&experiment.scenario.name, &system.name);
                    let line = format!("{scenario:<16} {system:<20} not run: {why}");
                    self.terminal.say(&folded(&line));
                    texts.push(format!("{scenario} on {system} ({why})"));
                }
            }
        }
        texts
    }

    /// What is to be run, in order: trials outermost, systems innermost and in a seeded random order, so that
    /// drift of the machine does not meet one system alone.
    fn places(&self, refused: &BTreeMap<String, String>) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        for number in 1..=self.trials {
            for experiment in &self.experiments {
                let mut systems: Vec<usize> = (0..self.systems.len()).collect();
                let seed = experiment.scenario.seed.wrapping_add(u64::from(number));
                systems.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
                let place =
                    |order| Place { experiment, order, system: &self.systems[order], number };
                places.extend(systems.into_iter().map(place));
            }
        }
        places.retain(|Place { experiment, system, .. }| {
            !refused.contains_key(&experiment.scenario.name)
                && self.lacks(experiment, system).is_none()
        });
        places
    }
}

/// Runs a trial into a new folder, and shows how far it is; `left_s` is what it and all that follows it are
/// expected to take, if that is known.
pub(crate) async fn run_one(
    trial: &Trial<'_>,
    terminal: &Terminal,
    left_s: Option<f64>,
    interrupt: watch::Receiver<bool>,
) -> anyhow::Result<Finished> {
    results::new_trial(&trial.folder)?;
    let name = format!("{} · {} · trial {}", trial.scenario.name, trial.system.name, trial.number);
    terminal.begin(&name, trial.scenario.duration_s(), left_s);
    let result = trial.run(interrupt, &|share| terminal.progress(share)).await;
    terminal.end();
    let warnings = result.iter().flat_map(|finished| &finished.warnings);
    warnings.for_each(|warning| terminal.note(&format!("    warning: {warning}")));
    result
}

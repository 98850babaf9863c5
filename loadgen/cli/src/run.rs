//! A run: every scenario on every system, trials interleaved, then the report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use tokio::sync::watch;

use crate::results;
use crate::selftest;
use crate::terminal::Terminal;
use audit::threshold;
use faults::{Experiment, Planned};
use load::profile::Profile;
use record::{Answer, Manifest, Met, Verdict, not_ok};
use scenario::Scenario;
use scenario::system::SystemSpec;
use supervise::cores::Cores;
use supervise::launch::{self, Interrupted, Secrets};

use crate::trial::{self, Finished, NothingMeasured, Trial};

/// What to run.
pub struct Run {
    /// Scenarios with their faults, in order.
    pub experiments: Vec<Experiment>,
    /// Systems, in order.
    pub systems: Vec<SystemSpec>,
    /// Repetitions of each pair.
    pub trials: u32,
    /// The folder of all results.
    pub out: PathBuf,
    /// Keep the databases.
    pub keep_data: bool,
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

    fn check_faults(&self, experiment: &Experiment, system: &SystemSpec) -> anyhow::Result<()> {
        let path = PathBuf::from(format!("{}.toml", experiment.scenario.name));
        for faults in self.schedules(experiment) {
            faults::fits::check(system, &path, &faults)?;
        }
        Ok(())
    }

    /// The faults of each trial.
    fn schedules(&self, experiment: &Experiment) -> impl Iterator<Item = Vec<Planned>> {
        let Experiment { scenario, plan } = experiment;
        (1..=self.trials).map(|number| plan.schedule(trial::seed(scenario, number)))
    }

    /// Why a system has no part in a scenario: it lacks what is harmed.
    fn lacks(&self, experiment: &Experiment, system: &SystemSpec) -> Option<String> {
        self.schedules(experiment).find_map(|faults| faults::fits::lacking(system, &faults))
    }

    /// Runs everything; returns the results folder, if there are results, and the state of the
    /// trials.
    ///
    /// # Errors
    /// If the results cannot be written or a system cannot be started; trials that were finished
    /// before stay, with their report.
    pub async fn run(
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
    async fn allow(&self, folder: &Path, cores: &Cores) -> anyhow::Result<()> {
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
        let outcome =
            self.trials(folder, &cores, &facts["revision"], &refused, interrupt, done).await;
        if *done == 0 {
            return outcome;
        }
        let reported = results::conclude(&self.out, folder, facts, &self.terminal);
        Ok(RunState { unreported: !reported, ..outcome? })
    }

    /// The scenarios that this machine cannot run, each with the reason; said at once.
    async fn refused(&self, folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
        let mut refused = BTreeMap::new();
        for experiment in &self.experiments {
            let name = &experiment.scenario.name;
            if let Some(why) = faults::requirements::lacks(experiment, folder).await? {
                self.terminal.say(&format!("{name:<16} not run: {why}"));
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
                    self.terminal.say(&format!("{scenario:<16} {system:<20} not run: {why}"));
                    texts.push(format!("{scenario} on {system} ({why})"));
                }
            }
        }
        texts
    }

    async fn trials(
        &self,
        folder: &Path,
        cores: &Cores,
        revision: &str,
        refused: &BTreeMap<String, String>,
        interrupt: watch::Receiver<bool>,
        done: &mut usize,
    ) -> anyhow::Result<RunState> {
        let mut outcome = RunState { not_run: !refused.is_empty(), ..RunState::default() };
        let network = Secrets::draw_network();
        let mut order = self.order();
        order.retain(|(experiment, system, _)| {
            let lacks = self.lacks(experiment, &self.systems[*system]);
            !refused.contains_key(&experiment.scenario.name) && lacks.is_none()
        });
        for (Experiment { scenario, plan }, order, number) in order {
            if *interrupt.borrow() {
                outcome.interrupted = true;
                break;
            }
            let system = &self.systems[order];
            let path = folder.join(&scenario.name).join(&system.name).join(number.to_string());
            let trial = Trial {
                scenario,
                faults: plan,
                system,
                system_order: u32::try_from(order).unwrap_or(u32::MAX),
                number,
                folder: path.clone(),
                cores,
                command: &self.command,
                revision,
                keep_data: self.keep_data,
                network: &network,
            };
            match run_one(&trial, &self.terminal, interrupt.clone()).await {
                Ok(Finished { manifest, verdict, thresholds, .. }) => {
                    self.terminal.say(&line(&manifest, &verdict));
                    if let Some(answers) = not_ok(&manifest.attempts) {
                        self.terminal.say(&format!("    not ok: {answers}"));
                    }
                    if verdict.verdict == Answer::False {
                        self.terminal.say(&format!("    again: {}", again(&trial)));
                    }
                    for broken in thresholds.iter().filter(|t| !t.met) {
                        self.terminal.say(&format!("    BROKEN: {}", promise(broken)));
                    }
                    let judged = manifest.validity.valid;
                    outcome.violated |= judged && thresholds.iter().any(|t| !t.met);
                    outcome.invalid |= !manifest.validity.valid;
                    outcome.violated |= self.convicts(&manifest, &verdict);
                    outcome.interrupted |= manifest.validity.interrupted;
                    *done += 1;
                }
                Err(error) => {
                    results::discard(&path);
                    if error.is::<NothingMeasured>() || error.is::<Interrupted>() {
                        outcome.interrupted = true;
                        break;
                    }
                    let name = format!("{} on {}, trial {number}", scenario.name, system.name);
                    return Err(error.context(name));
                }
            }
        }
        Ok(outcome)
    }

    /// Whether the audit speaks against the system, or a control against the audit.
    fn convicts(&self, manifest: &Manifest, verdict: &Verdict) -> bool {
        let Some(expected) = &manifest.expect_violation else {
            return verdict.verdict == Answer::False;
        };
        // Cut short, a control may not have met its fault.
        if manifest.validity.interrupted {
            return false;
        }
        self.terminal.say(&format!("    {}", expected.sentence(verdict)));
        !expected.is_met(verdict)
    }

    /// Trials outermost, systems innermost and in a seeded random order, so that drift of the
    /// machine does not meet one system alone.
    fn order(&self) -> Vec<(&Experiment, usize, u32)> {
        let mut order = Vec::new();
        for number in 1..=self.trials {
            for experiment in &self.experiments {
                let mut systems: Vec<usize> = (0..self.systems.len()).collect();
                let seed = experiment.scenario.seed.wrapping_add(u64::from(number));
                systems.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
                order.extend(systems.into_iter().map(|s| (experiment, s, number)));
            }
        }
        order
    }
}

/// Runs a trial into a new folder, and shows how far it is.
pub(crate) async fn run_one(
    trial: &Trial<'_>,
    terminal: &Terminal,
    interrupt: watch::Receiver<bool>,
) -> anyhow::Result<Finished> {
    results::new_trial(&trial.folder)?;
    let name = format!("{} · {} · trial {}", trial.scenario.name, trial.system.name, trial.number);
    terminal.begin(&name, trial.scenario.duration_s());
    let result = trial.run(interrupt, &|share| terminal.progress(share)).await;
    terminal.end();
    let warnings = result.iter().flat_map(|finished| &finished.warnings);
    warnings.for_each(|warning| terminal.note(&format!("    warning: {warning}")));
    result
}

/// One line per trial for the terminal.
fn line(manifest: &Manifest, verdict: &Verdict) -> String {
    let place = manifest.requests.get("place").copied().unwrap_or_default();
    let share = place.ok as f64 / place.scheduled.max(1) as f64 * 100.0;
    let cost = manifest.cost.cpu_ms_per_completed_order;
    let cost = cost.map_or("—".to_owned(), |ms| format!("{ms:.2} ms"));
    let audit = match verdict.verdict {
        Answer::True => "true",
        Answer::Unknown => "unknown",
        Answer::False => "FALSE",
    };
    let validity =
        if manifest.validity.valid { "valid".to_owned() } else { manifest.validity.doubt() };
    format!(
        "{:<16} {:<20} {:>2}  placed {share:>6.2} %  completed {:>6}  CPU/order {cost:>8}  lag p99 {:>5} µs  audit {audit}  {validity}",
        manifest.scenario,
        manifest.system,
        manifest.trial,
        manifest.cost.completed_orders,
        manifest.generator.lag_p99_us,
    )
}

/// The command that asks the same of the same system: same seed, same schedule, same faults.
fn again(trial: &Trial<'_>) -> String {
    format!(
        "loadgen run {} --system {} --seed {} --keep-data",
        trial.scenario.path.display(),
        trial.system.path.display(),
        trial::seed(trial.scenario, trial.number)
    )
}

fn promise(met: &Met) -> String {
    let found = met.found(|found| threshold::with_unit(met, found));
    let phase = if met.phase.is_empty() { "all" } else { &met.phase };
    format!("{} ({}, {phase}): found {found}", met.expect, met.operation)
}

//! The capacity of a system: the highest arrival rate at which it keeps a scenario's objective.
//!
//! Runs trials, each on a fresh system, at the rates that the search asks for. What a trial says is
//! read off its finished record; what they say together is the search's.

pub mod found;
pub mod search;
pub mod step;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use tokio::sync::watch;

use crate::config::Span;
use crate::cores::Cores;
use crate::environment;
use crate::fault::undo;
use crate::launch::{self, Interrupted};
use crate::record::read;
use crate::record::whole::write_json;
use crate::report;
use crate::run::{Outcome, new_folder, point_latest, run_one};
use crate::scenario::{Arrivals, Curve, Limits, Scenario, Stage};
use crate::selftest;
use crate::system::SystemSpec;
use crate::threshold::Threshold;
use crate::trial::{NothingMeasured, Trial};

use found::Settings;
use search::{Bound, Rules, Search};
use step::{Keeps, Step};

/// The default share of the offered orders that must complete within the objective.
pub const KEEPS: &str = "99%";
/// Growth is a difference between the first and the last third of the measured window.
const STEP_LEAST_S: u32 = 3;
/// So many times as many requests may be open as are while the objective is just kept (rate ×
/// objective, Little): else the generator's own limit would end the search.
const OPEN_ROOM: f64 = 1.5;
/// The send lag may be this part of the objective: it is in every time that is held against it, and
/// cannot make a kept objective of a broken one, nor the other way round.
const LAG_PART: u32 = 100;
/// The highest rate a scenario may have.
const RATE_MAX: u32 = 200_000;

/// What to search for.
pub struct Capacity {
    /// Mix, limits, provider, objective; its curve and its faults are left out.
    pub scenario: Scenario,
    /// The systems, in order.
    pub systems: Vec<SystemSpec>,
    /// The first rate, arrivals per second.
    pub from_per_s: u32,
    /// The highest rate that is tried, if there is a wish.
    pub to_per_s: Option<u32>,
    /// The width of the interval as a share of its lower end.
    pub resolution: f64,
    /// Valid trials that each end of the interval gets.
    pub trials: u32,
    /// Each trial's part before the measured window.
    pub warm_up: Span,
    /// The measured window.
    pub step: Span,
    /// The share of the offered orders that must complete within the objective.
    pub keeps: f64,
    /// The folder of all results.
    pub out: PathBuf,
    /// Leaves the standard output to the JSON document.
    pub quiet: bool,
    /// The command line.
    pub command: Vec<String>,
}

impl Capacity {
    /// Checks what can be checked before anything is started.
    ///
    /// # Errors
    /// If a setting makes no sense or a program is missing.
    pub fn check(&self) -> anyhow::Result<()> {
        let most = self.to_per_s.unwrap_or(RATE_MAX);
        ensure!(
            (1..=RATE_MAX).contains(&self.from_per_s)
                && (self.from_per_s..=RATE_MAX).contains(&most),
            "--from {} and --to {most}: expected 1 ≤ from ≤ to ≤ {RATE_MAX} arrivals per second",
            self.from_per_s
        );
        ensure!(
            self.step.whole_s().is_some_and(|s| s >= STEP_LEAST_S),
            "--step is {}; expected whole seconds, at least {STEP_LEAST_S}",
            self.step
        );
        let warm_up = self.warm_up;
        ensure!(warm_up.whole_s().is_some(), "--warm-up is {warm_up}; expected whole seconds");
        let mut names: Vec<&str> = self.systems.iter().map(|s| s.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        ensure!(twice.is_none(), "the system {} is named twice", twice.unwrap_or_default());
        self.systems.iter().try_for_each(launch::check_programs)
    }

    /// What the scenario has and a search leaves out, in words.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        let scenario = &self.scenario;
        let phased = scenario.thresholds.iter().filter(|t| t.phase.is_some()).count();
        let parts = [
            (scenario.harms().count(), "fault", "faults"),
            (scenario.phases.len(), "phase", "phases"),
            (phased, "threshold of a phase", "thresholds of phases"),
            (usize::from(scenario.closed.is_some()), "closed loop", "closed loops"),
            (usize::from(scenario.session.is_some()), "session", "sessions"),
        ];
        let some = parts.iter().filter(|(count, ..)| *count > 0);
        some.map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more }))
            .collect()
    }

    /// Searches; returns the results folder, if there are results, and the state of the trials.
    ///
    /// # Errors
    /// If the results cannot be written or a system cannot be started; trials that were finished
    /// before stay, with their report.
    pub async fn run(
        &self,
        interrupt: watch::Receiver<bool>,
    ) -> anyhow::Result<(Option<PathBuf>, Outcome)> {
        self.check()?;
        let left_out = self.left_out();
        if !left_out.is_empty() {
            let name = &self.scenario.name;
            eprintln!("of {name} the curve and {} are left out", left_out.join(", "));
        }
        let folder = new_folder(&self.out)?;
        let mut under_way = UnderWay::new(self, &folder);
        let result = under_way.fill(interrupt).await;
        if under_way.steps == 0 {
            undo::remove_if_closed(&folder);
            return Ok((None, result.map(|()| under_way.outcome)?));
        }
        result.with_context(|| format!("the finished trials are in {}", folder.display()))?;
        let outcome = under_way.outcome;
        Ok((Some(folder), outcome))
    }

    fn rules(&self) -> Rules {
        Rules {
            from_per_s: self.from_per_s,
            most_per_s: self.to_per_s.unwrap_or(RATE_MAX),
            bound: if self.to_per_s.is_some() { Bound::Asked } else { Bound::Generator },
            resolution: self.resolution,
            trials: self.trials,
        }
    }

    fn settings(&self) -> Settings {
        let scenario = &self.scenario;
        let lasting = |t: &&Threshold| t.phase.is_none();
        Settings {
            format: found::FORMAT,
            scenario: scenario.name.clone(),
            scenario_about: scenario.about.clone(),
            systems: self.systems.iter().map(|s| s.name.clone()).collect(),
            objective_s: scenario.objective.as_s(),
            left_out: self.left_out(),
            generator_most_per_s: None,
            warm_up_s: self.warm_up.whole_s().unwrap_or(0),
            step_s: self.step.whole_s().unwrap_or(0),
            keeps: Keeps {
                share: self.keeps,
                thresholds: scenario.thresholds.iter().filter(lasting).cloned().collect(),
            },
            rules: self.rules(),
        }
    }

    /// The scenario at one rate: open loop, Poisson, nothing but the rate.
    fn at(&self, rate_per_s: u32) -> Scenario {
        let scenario = &self.scenario;
        let rate = f64::from(rate_per_s);
        let duration = Span(self.warm_up.0 + self.step.0);
        let patience = scenario.objective.max(scenario.limits.timeout);
        let open = (rate * scenario.objective.as_s() * OPEN_ROOM).ceil() as u32;
        let limits = Limits {
            in_flight: scenario.limits.in_flight.max(open),
            send_lag: scenario.limits.send_lag.max(Span(scenario.objective.0 / LAG_PART)),
            ..scenario.limits
        };
        Scenario {
            name: format!("{}-at-{rate_per_s}", scenario.name),
            about: format!("{} arrivals per second with the mix of {}.", rate_per_s, scenario.name),
            arrivals: Arrivals::Poisson,
            start: rate,
            stages: vec![Stage { duration, rate, ..Stage::default() }],
            intensity: None,
            trace: None,
            curve: Curve::Stages,
            closed: None,
            session: None,
            warm_up: self.warm_up,
            // Else a late order could not be told from one that was not waited for.
            drain: scenario.drain.max(patience),
            phases: Vec::new(),
            faults: Vec::new(),
            aborts: Vec::new(),
            chaos: None,
            thresholds: self.settings().keeps.thresholds,
            limits,
            ..scenario.clone()
        }
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
    steps: u32,
    outcome: Outcome,
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
            steps: 0,
            outcome: Outcome::default(),
        }
    }

    async fn fill(&mut self, interrupt: watch::Receiver<bool>) -> anyhow::Result<()> {
        let cores = Cores::divide()?;
        Cores::pin(&cores.generator)?;
        let mut facts = environment::facts(&cores, &self.capacity.command, self.folder);
        facts.insert("finished".to_owned(), "not finished".to_owned());
        environment::write(self.folder, &facts)?;
        self.write_settings()?;
        let searched = self.search(&cores, &facts["revision"], interrupt).await;
        if self.steps == 0 {
            return searched;
        }
        facts.insert("finished".to_owned(), environment::now());
        facts.insert("load average at the end".to_owned(), environment::load_average());
        let reported =
            environment::write(self.folder, &facts).and_then(|()| report::write(self.folder));
        searched?;
        reported?;
        self.outcome.invalid |= self.searches.iter().any(|s| !s.answer().is_known());
        for (system, search) in self.capacity.systems.iter().zip(&self.searches) {
            self.tell(&format!("{:<20} {}", system.name, search.answer()));
        }
        point_latest(&self.capacity.out, self.folder)
    }

    fn write_settings(&self) -> anyhow::Result<()> {
        write_json(&self.folder.join(found::FILE), &self.settings)
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
            system: spec,
            system_order: u32::try_from(system).unwrap_or(u32::MAX),
            number: *number,
            folder: folder.clone(),
            cores,
            command: &self.capacity.command,
            revision,
            keep_data: false,
        };
        if let Err(error) = run_one(&trial, interrupt.clone()).await {
            undo::remove_if_closed(&folder);
            if error.is::<NothingMeasured>() || error.is::<Interrupted>() {
                return Ok(false);
            }
            return Err(error.context(format!("{} at {rate}/s, trial {number}", spec.name)));
        }
        self.steps += 1;
        let record = read::Trial::read(&folder)?.context("the record was just written")?;
        let step = Step::of(&record, &self.settings.keeps);
        self.tell(&step.to_string());
        self.outcome.violated |= step.violated;
        if step.interrupted {
            return Ok(false);
        }
        self.searches[system].add(rate, step.judged);
        Ok(true)
    }

    fn tell(&self, line: &str) {
        if self.capacity.quiet { eprintln!("{line}") } else { println!("{line}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn the_limits_are_those_that_the_objective_needs_and_no_fewer_than_asked() {
        let text = "about = \"x\"\nstart = 10\nstages = [{ duration = \"30s\", rate = 10 }]\n\
                    objective = \"2s\"\nmix = { place = 1 }\nlimits = { in_flight = 4000 }";
        let capacity = Capacity {
            scenario: config::parse(Path::new("s.toml"), text).unwrap(),
            systems: Vec::new(),
            from_per_s: 50,
            to_per_s: None,
            resolution: 0.05,
            trials: 3,
            warm_up: Span::secs(3),
            step: Span::secs(10),
            keeps: 0.99,
            out: PathBuf::new(),
            quiet: true,
            command: Vec::new(),
        };
        assert_eq!(capacity.at(100).limits.in_flight, 4_000);
        assert_eq!(capacity.at(3_200).limits.in_flight, 9_600);
        assert_eq!(capacity.at(3_200).limits.timeout, capacity.scenario.limits.timeout);
        assert_eq!(capacity.at(100).limits.send_lag, Span(std::time::Duration::from_millis(20)));
    }
}

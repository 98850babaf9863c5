//! The search for a capacity: runs trials, each on a fresh system, at the rates that the search asks
//! for.

mod under_way;

use std::path::PathBuf;

use anyhow::ensure;

use crate::quiet::Quiet;
use crate::results;
use crate::terminal::Terminal;
use audit::capacity::replay::{self, Settings};
use audit::capacity::search::{Bound, Rules};
use audit::capacity::trial_at_rate::{Keeps, ToldBy};
use record::Operation;
use scenario::config::Span;
use scenario::system::SystemSpec;
use scenario::{Arrivals, Curve, Limits, Scenario, Stage, Threshold};
use supervise::launch;

/// The default share of the offered orders that must complete within the objective.
pub const KEEPS: &str = "99%";
/// Growth is told by the differences of the window's seconds: of fewer than four of them chance leaves
/// next to nothing.
const STEP_LEAST_S: u32 = 5;
/// So many times as many requests may be open as are while the objective is just kept (rate ×
/// objective, Little): else the generator's own limit would end the search.
const OPEN_ROOM: f64 = 1.5;
/// The send lag may be this part of the objective: it is in every time that is held against it, and
/// cannot make a kept objective of a broken one, nor the other way round.
const LAG_PART: u32 = 100;
/// The highest rate a scenario may have.
const RATE_MAX: u32 = 200_000;

/// So many standard deviations of a Poisson number are left to chance.
const CHANCE: f64 = 3.0;

/// Why a search does not ask for a threshold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    /// The phase falls away.
    Phase,
    /// It would break every rate below it.
    Goodput,
    /// Its operation is not in the mix.
    Session,
}

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
    /// How long a trial waits for a quiet machine.
    pub quiet: Quiet,
    /// The folder of all results.
    pub out: PathBuf,
    /// Who is told meanwhile.
    pub terminal: Terminal,
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
        let systems = self.systems.iter().map(|s| (s.name.as_str(), s.path.as_path()));
        results::check_names("system", systems)?;
        self.thresholds().try_for_each(|threshold| self.check_sample(threshold))?;
        self.systems.iter().try_for_each(launch::check_programs)
    }

    /// A percentile of too few values says nothing: the first rate must bring enough.
    fn check_sample(&self, threshold: &Threshold) -> anyhow::Result<()> {
        let least = threshold.expect.least();
        let root = f64::midpoint(CHANCE, (CHANCE * CHANCE + 4.0 * least as f64).sqrt());
        // So many on average that chance leaves enough: n − 3√n ≥ least.
        let needed = if least > 1 { root * root } else { 0.0 };
        let per_s = f64::from(self.from_per_s) * self.share(threshold);
        ensure!(
            per_s * self.step.as_s() >= needed,
            "threshold {:?}: --from {} and --step {} bring about {:.0} values; expected {} or more, so \
             that its {least} are there: give --step {}s or a higher --from",
            threshold.expect.to_string(),
            self.from_per_s,
            self.step,
            per_s * self.step.as_s(),
            needed.ceil(),
            (needed / per_s).ceil()
        );
        Ok(())
    }

    /// The part of the arrivals that a threshold speaks of.
    fn share(&self, threshold: &Threshold) -> f64 {
        let weights = self.scenario.mix.weights();
        let all: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let named = threshold.operation.unwrap_or(Operation::Place);
        let of_it = self.scenario.mix.weight(named);
        let is_unnamed = threshold.operation.is_none() && of_it <= 0.0;
        let most = weights.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
        if is_unnamed { most / all } else { of_it / all }
    }

    /// The part of the arrivals that are of the main operation.
    fn main_share(&self) -> f64 {
        let weights = self.scenario.mix.weights();
        let all: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let most = weights.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
        let place = self.scenario.mix.place;
        if place > 0.0 { place / all } else { most / all }
    }

    /// The scenario's thresholds that a search asks for.
    fn thresholds(&self) -> impl Iterator<Item = &Threshold> {
        self.scenario.thresholds.iter().filter(|t| self.why_left_out(t).is_none())
    }

    fn why_left_out(&self, threshold: &Threshold) -> Option<LeftOut> {
        if threshold.phase.is_some() || threshold.expect.compares_thirds() {
            Some(LeftOut::Phase)
        } else if threshold.expect.asks_for_goodput() {
            Some(LeftOut::Goodput)
        } else {
            (self.share(threshold) <= 0.0).then_some(LeftOut::Session)
        }
    }

    /// What the scenario has and a search leaves out, in words.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        let scenario = &self.scenario;
        let without = |why: LeftOut| {
            scenario.thresholds.iter().filter(|t| self.why_left_out(t) == Some(why)).count()
        };
        let parts = [
            (scenario.fault_count(), "fault", "faults"),
            (scenario.phases.len(), "phase", "phases"),
            (without(LeftOut::Phase), "threshold of a phase", "thresholds of phases"),
            (without(LeftOut::Goodput), "least goodput", "least goodputs"),
            (without(LeftOut::Session), "threshold of the session", "thresholds of the session"),
            (usize::from(scenario.closed.is_some()), "closed loop", "closed loops"),
            (usize::from(scenario.session.is_some()), "session", "sessions"),
            (usize::from(!scenario.mixes().is_empty()), "mix of stages", "mixes of stages"),
            (usize::from(scenario.retries.is_some()), "setting of retries", "settings of retries"),
        ];
        let some = parts.iter().filter(|(count, ..)| *count > 0);
        some.map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more }))
            .collect()
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
        Settings {
            format: replay::FORMAT,
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
                thresholds: self.thresholds().cloned().collect(),
                main_share: Some(self.main_share()),
                told_by: ToldBy::Seconds,
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
            retries: None,
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use scenario::config;

    fn capacity(rest: &str) -> Capacity {
        let text = "about = \"x\"\nstart = 10\nstages = [{ duration = \"30s\", rate = 10 }]\n\
                    objective = \"2s\"\nlimits = { in_flight = 4000 }\n";
        Capacity {
            scenario: config::parse(Path::new("s.toml"), &format!("{text}{rest}")).unwrap(),
            systems: Vec::new(),
            from_per_s: 50,
            to_per_s: None,
            resolution: 0.05,
            trials: 3,
            warm_up: Span::secs(3),
            step: Span::secs(10),
            keeps: 0.99,
            quiet: Quiet::default(),
            out: PathBuf::new(),
            terminal: Terminal::open(true).unwrap(),
            command: Vec::new(),
        }
    }

    #[test]
    fn a_search_whose_sample_would_be_too_small_is_refused() {
        let check = |expect: &str, rest: &str| {
            let threshold = format!("[[threshold]]\nexpect = \"{expect}\"\n{rest}");
            let mix = "mix = { place = 7, login = 3 }\n";
            capacity(&format!("{mix}{threshold}")).check().map_err(|error| error.to_string())
        };
        check("p(90) < 1s", "").unwrap();
        check("failed < 1%", "operation = \"login\"").unwrap();
        check("p(99.9) < 1s", "phase = \"steady\"").unwrap();
        let refused = check("p(99) < 1s", "").unwrap_err();
        assert!(refused.contains("bring about 350 values; expected 431 or more"), "{refused}");
        assert!(refused.contains("give --step 13s"), "{refused}");
        assert!(check("p(99) < 1s", "operation = \"login\"").unwrap_err().contains("--step 29s"));
    }

    #[test]
    fn a_search_does_not_ask_for_what_no_rate_could_keep() {
        let threshold = |text: &str| format!("[[threshold]]\nexpect = \"{text}\"\n");
        let text = ["goodput > 50", "goodput >= 9", "p(50) < 1s"].map(threshold).concat();
        let get = format!("{}operation = \"get\"\n", threshold("p(50) < 1s"));
        let capacity = capacity(&format!("mix = {{ place = 1 }}\n{text}{get}"));
        assert_eq!(capacity.left_out(), ["2 least goodputs", "1 threshold of the session"]);
        let kept = capacity.settings().keeps.thresholds;
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].expect.to_string(), "p(50) < 1s");
    }

    #[test]
    fn a_search_is_of_customers_who_do_not_ask_again() {
        let capacity = capacity("retries = {}\nmix = { place = 1 }");
        assert_eq!(capacity.left_out(), ["1 setting of retries"]);
        assert_eq!(capacity.at(100).retries, None);
    }

    #[test]
    fn the_limits_are_those_that_the_objective_needs_and_no_fewer_than_asked() {
        let capacity = capacity("mix = { place = 1 }");
        assert_eq!(capacity.at(100).limits.in_flight, 4_000);
        assert_eq!(capacity.at(3_200).limits.in_flight, 9_600);
        assert_eq!(capacity.at(3_200).limits.timeout, capacity.scenario.limits.timeout);
        assert_eq!(capacity.at(100).limits.send_lag, Span(std::time::Duration::from_millis(20)));
    }
}

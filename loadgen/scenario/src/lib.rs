//! A scenario: load, mix, card network, faults and bounds; the same for every system.

mod abort;
mod chaos;
mod condition;
pub mod config;
mod curve;
mod disk;
mod fault;
mod files;
mod form;
mod operation;
mod provider;
mod retries;
mod rules;
pub mod system;
mod threshold;
mod vary;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, Span};
use record::{Operation, Phase};

pub use abort::Abort;
pub use chaos::Chaos;
pub use condition::{Condition, FIRST_THIRD, LAST_THIRD, Pointless, Quantity, Series};
pub use disk::DiskSpec;
pub use fault::HEADER;
pub use fault::{FaultSpec, Parameter, RawFault, Target, Template};
pub use files::{locate, names, stem};
pub use form::Loop;
pub use provider::{Latency, Provider, ProviderMode};
pub use retries::{After, Retries};
pub use threshold::Threshold;
pub use vary::{stands, vary};

/// A scenario file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// What it holds: who finds a mistake in it later can name the line.
    #[serde(skip)]
    pub text: String,
    /// One sentence: what happens.
    pub about: String,
    /// Seed of schedule, operations and provider; trial n adds n − 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// How arrivals are spaced.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Arrivals per second at the start.
    #[serde(default)]
    pub start: f64,
    /// The rate is linear towards each stage's rate; a stage of 0 s is a jump.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Instead of stages: a CSV file with the columns `second,rate`; linear between its rows.
    #[serde(default)]
    pub intensity: Option<PathBuf>,
    /// Instead of stages: a CSV file with the column `second`, one row per arrival.
    #[serde(default)]
    pub trace: Option<PathBuf>,
    /// Instead of arrivals: a closed loop of users who wait for their answers.
    #[serde(default)]
    pub closed: Option<Closed>,
    /// Arrivals are sessions of these steps, each of which waits for the one before.
    #[serde(default)]
    pub session: Option<Session>,
    /// What the two files hold; read with the scenario.
    #[serde(skip)]
    pub curve: Curve,
    /// The first part, kept out of the statistics.
    #[serde(default = "default_warm_up")]
    pub warm_up: Span,
    /// How long unfinished requests and pending orders are waited for after the load.
    #[serde(default = "default_drain")]
    pub drain: Span,
    /// An order that completes within this time counts as goodput.
    #[serde(default = "default_objective")]
    pub objective: Span,
    /// Accounts that are opened and signed in before the load.
    #[serde(default = "default_customers")]
    pub customers: u32,
    /// The weights of the operations.
    pub mix: Mix,
    /// Bounds of the generator.
    #[serde(default)]
    pub limits: Limits,
    /// How customers ask again for orders that were not acknowledged; without it they do not.
    #[serde(default)]
    pub retries: Option<Retries>,
    /// How the card network behaves.
    #[serde(default)]
    pub provider: Provider,
    /// The data lies on a disk of its own of this size; the default one if a fault harms it.
    #[serde(default)]
    pub disk: Option<DiskSpec>,
    /// Parts with statistics of their own; without any, all after the warm-up is `steady`.
    #[serde(default, rename = "phase")]
    pub phases: Vec<PhaseSpec>,
    /// All links go through the fault proxy even if none is harmed: the control that measures it.
    #[serde(default)]
    pub links: bool,
    /// Bytes between the system's own processes are so much late, each way, from its start to its end: as over a network.
    /// Then all links go through the fault proxy.
    #[serde(default)]
    pub hop_delay: Option<Span>,
    /// What is harmed, and when.
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultSpec>,
    /// Instead of `[[fault]]`: faults are drawn.
    #[serde(default)]
    pub chaos: Option<Chaos>,
    /// What is promised; a valid trial that breaks one makes the run exit with 4.
    #[serde(default, rename = "threshold")]
    pub thresholds: Vec<Threshold>,
    /// What ends a trial early, while it runs; it is invalid then.
    #[serde(default, rename = "abort")]
    pub aborts: Vec<Abort>,
}

/// How arrivals are spaced around the rate curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Independent customers: exponential gaps.
    #[default]
    Poisson,
    /// Evenly spaced.
    Constant,
    /// One in each even slot, at a uniformly drawn place in it.
    Jitter,
}

/// A closed loop. A stalled system slows it down, so it hides what customers would have felt: here
/// because readers ask, and labelled in every report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// How many.
    pub users: u32,
    /// Their mean thinking time; exponential.
    #[serde(default)]
    pub think: Span,
    /// For how long.
    pub duration: Span,
    /// Users wait until their order is final: one that is acknowledged and pending is looked up after this, and again
    /// after pauses half as long again each, up to a second. Without it an acknowledgement ends the wait.
    #[serde(default)]
    pub poll: Option<Span>,
}

/// What one visit does, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// place, get, login, signup, cancel.
    pub steps: Vec<String>,
    /// The mean thinking time between steps; exponential.
    #[serde(default)]
    pub think: Span,
}

impl Session {
    /// The steps as operations.
    ///
    /// # Errors
    /// If one is not known, or there is none.
    pub fn operations(&self) -> Result<Vec<Operation>, String> {
        let known = |step: &String| {
            operation::named(step).ok_or_else(|| {
                let all = operation::names().join(", ");
                format!("session: the step {step:?} is not one of {all}")
            })
        };
        if self.steps.is_empty() {
            return Err("session: there are no steps".to_owned());
        }
        self.steps.iter().map(known).collect()
    }
}

/// Arrivals that come from a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Curve {
    /// From the stages instead.
    #[default]
    Stages,
    /// Corners: (second, arrivals per second).
    Intensity(Vec<(f64, f64)>),
    /// Instants, ns, ascending.
    Trace(Vec<u64>),
}

/// A part of the rate curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How long; `0s` jumps.
    pub duration: Span,
    /// Arrivals per second at its end; of a sine, its middle.
    pub rate: f64,
    /// A sine around `rate` instead of a line towards it: how far it swings, per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amplitude: Option<f64>,
    /// The sine's period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Span>,
    /// What is asked for meanwhile, if it is not what the scenario's mix says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
}

/// The weights of the operations; only their ratios count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// POST /orders.
    pub place: f64,
    /// GET /orders/{id}.
    pub get: f64,
    /// POST /login (35 ms of CPU).
    pub login: f64,
    /// POST /signup (35 ms of CPU).
    pub signup: f64,
    /// POST /orders/{id}/cancel, of a customer's newest order.
    #[serde(skip_serializing_if = "is_nothing")]
    pub cancel: f64,
}

/// So that records of scenarios without it are as they were.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_nothing(weight: &f64) -> bool {
    *weight == 0.0
}

impl Mix {
    /// Each operation's weight, in the order in which they are drawn.
    #[must_use]
    pub fn weights(&self) -> [(Operation, f64); Operation::ALL.len()] {
        Operation::ALL.map(|operation| (operation, self.weight(operation)))
    }

    /// The weight of one of them.
    #[must_use]
    pub fn weight(&self, operation: Operation) -> f64 {
        match operation {
            Operation::Place => self.place,
            Operation::Get => self.get,
            Operation::Login => self.login,
            Operation::Signup => self.signup,
            Operation::Cancel => self.cancel,
            // Nobody's of the shop.
            Operation::Request => 0.0,
        }
    }
}

/// Bounds of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests that may be open at once.
    pub in_flight: u32,
    /// A request without an answer for this long is unknown.
    pub timeout: Span,
    /// The 99th percentile of the send lag above which a trial is told to be blurred; a request that is later
    /// than this may have ended otherwise in time.
    pub send_lag: Span,
    /// Whether the sending thread takes real-time priority where the kernel lets it.
    pub real_time: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 4_000,
            timeout: Span::secs(5),
            send_lag: Span(std::time::Duration::from_millis(1)),
            real_time: true,
        }
    }
}

/// A part of the schedule with statistics of its own; its bounds are whole seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSpec {
    /// before, during, after, …
    pub name: String,
    /// Its start.
    pub from: Span,
    /// Its end.
    pub to: Span,
}

fn default_seed() -> u64 {
    1
}
fn default_warm_up() -> Span {
    Span::secs(5)
}
fn default_drain() -> Span {
    Span::secs(30)
}
fn default_objective() -> Span {
    Span::secs(2)
}
fn default_customers() -> u32 {
    10
}

impl Default for Scenario {
    /// What a file has that names nothing but what it must: no load.
    fn default() -> Self {
        Self {
            name: String::new(),
            path: PathBuf::new(),
            text: String::new(),
            about: String::new(),
            seed: default_seed(),
            arrivals: Arrivals::default(),
            start: 0.0,
            stages: Vec::new(),
            intensity: None,
            trace: None,
            closed: None,
            session: None,
            curve: Curve::default(),
            warm_up: default_warm_up(),
            drain: default_drain(),
            objective: default_objective(),
            customers: default_customers(),
            mix: Mix::default(),
            limits: Limits::default(),
            retries: None,
            provider: Provider::default(),
            disk: None,
            phases: Vec::new(),
            links: false,
            hop_delay: None,
            faults: Vec::new(),
            chaos: None,
            thresholds: Vec::new(),
            aborts: Vec::new(),
        }
    }
}

impl Scenario {
    /// Reads and checks a scenario: a name in `./scenarios`, or a path.
    ///
    /// # Errors
    /// If the file is missing, does not parse, or breaks a rule.
    pub fn read(name: &str) -> Result<Self, ConfigError> {
        let path = locate("scenarios", name)?;
        let text = config::load(&path)?;
        let mut scenario: Self = config::parse(&path, &text)?;
        scenario.text = text;
        scenario.name = stem(&path);
        scenario.path.clone_from(&path);
        scenario.curve = scenario.read_curve(&path)?;
        scenario.check().map_err(|text| ConfigError::new(&path, text))?;
        Ok(scenario)
    }

    /// The length of the schedule.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        if let Some(closed) = &self.closed {
            return closed.duration.as_s();
        }
        match &self.curve {
            Curve::Stages => self.stages.iter().map(|s| s.duration.as_s()).sum(),
            Curve::Intensity(corners) => corners.last().map_or(0.0, |(second, _)| *second),
            Curve::Trace(instants) => {
                instants.last().map_or(0.0, |ns| (*ns as f64 / 1e9).floor() + 1.0)
            }
        }
    }

    /// Until when, ns since second 0, which mix is asked for; empty if it is the scenario's all the time.
    #[must_use]
    pub fn mixes(&self) -> Vec<(u64, Mix)> {
        if self.stages.iter().all(|stage| stage.mix.is_none()) {
            return Vec::new();
        }
        let mut until = Duration::ZERO;
        let ends = self.stages.iter().map(|stage| {
            until += stage.duration.0;
            (u64::try_from(until.as_nanos()).unwrap_or(u64::MAX), stage.mix.unwrap_or(self.mix))
        });
        ends.collect()
    }

    /// The disk that the data lies on, if it is one of its own.
    #[must_use]
    pub fn data_disk(&self) -> Option<DiskSpec> {
        let harmed = self.targets().any(|target| *target == Target::Disk);
        self.disk.or_else(|| harmed.then(DiskSpec::default))
    }

    /// Whether links go through the fault proxy: all of every system, or none.
    #[must_use]
    pub fn proxies_links(&self) -> bool {
        self.links
            || self.hop_delay.is_some()
            || self.targets().any(|target| target.link().is_some())
    }

    /// How many faults there are, or kinds that they are drawn from.
    #[must_use]
    pub fn fault_count(&self) -> usize {
        self.faults.len() + self.chaos.as_ref().map_or(0, |chaos| chaos.kinds.len())
    }

    /// Whom the faults harm, or what they are drawn from says it.
    fn targets(&self) -> impl Iterator<Item = &Target> {
        let drawn = self.chaos.iter().flat_map(|chaos| &chaos.kinds);
        let drawn = drawn.filter_map(|kind| kind.get_ref().target.as_ref());
        self.faults.iter().map(|fault| &fault.target).chain(drawn)
    }

    /// Reads the file that replaces the stages; its path is relative to the scenario's.
    fn read_curve(&self, scenario: &Path) -> Result<Curve, ConfigError> {
        let beside = |file: &Path| scenario.parent().unwrap_or(Path::new(".")).join(file);
        match (&self.intensity, &self.trace) {
            (None, None) => Ok(Curve::Stages),
            (Some(file), None) if self.stages.is_empty() => {
                curve::intensity(&beside(file)).map(Curve::Intensity)
            }
            (None, Some(file)) if self.stages.is_empty() => {
                curve::trace(&beside(file)).map(Curve::Trace)
            }
            _ => {
                let text = "give one of stages, intensity and trace";
                Err(ConfigError::new(scenario, text))
            }
        }
    }

    /// The parts that statistics are kept for.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        let whole = |span: Span| span.whole_s().unwrap_or(0);
        if self.phases.is_empty() {
            let to_s = self.duration_s().round() as u32;
            return vec![Phase { name: "steady".to_owned(), from_s: whole(self.warm_up), to_s }];
        }
        let phase = |p: &PhaseSpec| Phase {
            name: p.name.clone(),
            from_s: whole(p.from),
            to_s: whole(p.to),
        };
        self.phases.iter().map(phase).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_in_force_to_the_end_of_its_stage() {
        let read = |second: &str| -> Vec<(u64, Mix)> {
            let text = format!(
                "about = \"\"\nmix = {{ place = 1 }}\nstages = [{{ duration = \"2s\", rate = 1 }}, \
                 {{ duration = \"0s\", rate = 5 }}, {{ duration = \"3s\", rate = 5{second} }}]"
            );
            config::parse::<Scenario>(Path::new("s.toml"), &text).unwrap().mixes()
        };
        assert_eq!(read(""), []);
        let (own, login) =
            (Mix { place: 1.0, ..Mix::default() }, Mix { login: 2.0, ..Mix::default() });
        let at = |s: u64| s * 1_000_000_000;
        assert_eq!(read(", mix = { login = 2 }"), [(at(2), own), (at(2), own), (at(5), login)]);
    }

    #[test]
    fn a_file_that_names_nothing_is_the_default() {
        let read: Scenario = config::parse(Path::new("s.toml"), "about = \"\"\nmix = {}").unwrap();
        assert_eq!(read, Scenario::default());
    }
}

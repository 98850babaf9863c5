//! A scenario: load, mix, outside world, faults and bounds; the same for every system.

mod curve;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{self, ConfigError, Span};
use crate::load::Loop;
use crate::record::Phase;
use crate::threshold::Threshold;
use crate::workload::Operation;

/// A scenario file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without `.toml`.
    #[serde(skip_deserializing)]
    pub name: String,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intensity: Option<PathBuf>,
    /// Instead of stages: a CSV file with the column `second`, one row per arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<PathBuf>,
    /// Instead of arrivals: a closed loop of users who wait for their answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// Arrivals are sessions of these steps, each of which waits for the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// How the card network behaves.
    #[serde(default)]
    pub provider: Provider,
    /// Parts with statistics of their own; without any, all after the warm-up is `steady`.
    #[serde(default, rename = "phase")]
    pub phases: Vec<PhaseSpec>,
    /// What is harmed, and when.
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultSpec>,
    /// What is promised; a valid trial that breaks one makes the run exit with 4.
    #[serde(default, rename = "threshold")]
    pub thresholds: Vec<Threshold>,
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
}

/// What one visit does, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// place, get, login, signup.
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
            let found = Operation::parse(step).filter(|o| *o != Operation::Request);
            found.ok_or_else(|| {
                format!("session: the step {step:?} is not one of place, get, login, signup")
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
}

/// Bounds of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests that may be open at once.
    pub in_flight: u32,
    /// A request without an answer for this long is unknown.
    pub timeout: Span,
    /// The 99th percentile of the send lag that a valid trial may have.
    pub send_lag: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 4_000,
            timeout: Span::secs(5),
            send_lag: Span(std::time::Duration::from_millis(1)),
        }
    }
}

/// How the card network behaves; given to it before the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// `constant:20ms`, `exponential:20ms` or `lognormal:20ms,80ms` (median, p99).
    pub latency: Latency,
    /// Share of cards that are refused.
    pub decline_rate: f64,
    /// Share of calls answered with an error before anything is captured.
    pub error_rate: f64,
    /// Whether a repeated key is charged again.
    pub mode: ProviderMode,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            latency: Latency::Lognormal { median_ms: 20.0, p99_ms: 80.0 },
            decline_rate: 0.02,
            error_rate: 0.0,
            mode: ProviderMode::Dedupe,
        }
    }
}

/// Whether the card network knows repeated keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderMode {
    /// Same key, same result.
    Dedupe,
    /// Charges again.
    Raw,
}

/// A latency distribution, as the provider's control endpoint takes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Latency {
    /// Always the same.
    Constant {
        /// That.
        ms: f64,
    },
    /// Memoryless.
    Exponential {
        /// Its mean.
        mean_ms: f64,
    },
    /// A long tail.
    Lognormal {
        /// Half are below.
        median_ms: f64,
        /// 99 of 100 are below.
        p99_ms: f64,
    },
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_latency(&text).map_err(serde::de::Error::custom)
    }
}

fn parse_latency(text: &str) -> Result<Latency, String> {
    let wrong = || {
        format!(
            "the latency {text:?} is not of the form constant:20ms, exponential:20ms or lognormal:20ms,80ms"
        )
    };
    let (kind, values) = text.split_once(':').ok_or_else(wrong)?;
    let values: Vec<f64> = values
        .split(',')
        .map(|v| v.trim().parse::<Span>().map(|s| s.as_s() * 1e3))
        .collect::<Result<_, _>>()?;
    match (kind, values.as_slice()) {
        ("constant", [ms]) => Ok(Latency::Constant { ms: *ms }),
        ("exponential", [mean_ms]) => Ok(Latency::Exponential { mean_ms: *mean_ms }),
        ("lognormal", [median_ms, p99_ms]) if median_ms < p99_ms && *median_ms > 0.0 => {
            Ok(Latency::Lognormal { median_ms: *median_ms, p99_ms: *p99_ms })
        }
        _ => Err(wrong()),
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

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// When it begins.
    pub at: Span,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// The role that is harmed; every process that plays it.
    pub harm: String,
    /// What is done to it.
    pub kind: FaultKind,
    /// kind = "provider": its latency meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// kind = "provider": its share of errors meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// kind = "provider": its share of refused cards meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_rate: Option<f64>,
}

/// What is done to a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// SIGKILL; restarted at the end.
    Kill,
    /// SIGSTOP; SIGCONT at the end.
    Pause,
    /// Other settings for the provider; the scenario's own at the end.
    Provider,
}

impl FaultKind {
    /// The word in the scenario file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Provider => "provider",
        }
    }
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

/// More would be no load test but a mistake in the file.
const RATE_MAX: f64 = 200_000.0;

impl Scenario {
    /// Reads and checks a scenario: a name in `./scenarios`, or a path.
    ///
    /// # Errors
    /// If the file is missing, does not parse, or breaks a rule.
    pub fn read(name: &str) -> Result<Self, ConfigError> {
        let path = locate("scenarios", name)?;
        let mut scenario: Self = config::read(&path)?;
        scenario.name = stem(&path);
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

    /// Who waits for whom.
    #[must_use]
    pub fn form(&self) -> Loop {
        let nanos = |span: Span| u64::try_from(span.0.as_nanos()).unwrap_or(u64::MAX);
        match (&self.closed, &self.session) {
            (Some(closed), _) => Loop::Closed {
                users: closed.users,
                think_ns: nanos(closed.think),
                until_ns: nanos(closed.duration),
            },
            (None, Some(session)) => Loop::PartlyOpen {
                steps: session.operations().unwrap_or_default(),
                think_ns: nanos(session.think),
            },
            (None, None) => Loop::Open,
        }
    }

    fn check_form(&self) -> Result<(), String> {
        if let Some(closed) = &self.closed {
            let others = !self.stages.is_empty()
                || self.intensity.is_some()
                || self.trace.is_some()
                || self.session.is_some();
            if others {
                return Err("closed goes without stages, intensity, trace and session".to_owned());
            }
            if closed.users == 0 || closed.users > self.limits.in_flight {
                return Err(format!(
                    "closed.users is {}; expected 1 to limits.in_flight ({})",
                    closed.users, self.limits.in_flight
                ));
            }
        }
        self.session.as_ref().map_or(Ok(()), |session| session.operations().map(drop))
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

    fn check(&self) -> Result<(), String> {
        self.check_load()?;
        self.check_provider()?;
        self.check_phases()?;
        self.check_thresholds()?;
        self.faults.iter().try_for_each(|f| self.check_fault(f))
    }

    fn check_load(&self) -> Result<(), String> {
        self.check_rates()?;
        self.check_form()?;
        let seconds = self.duration_s();
        if seconds < 1.0 || seconds.fract() != 0.0 {
            return Err(format!(
                "the stages last {seconds} s together; expected whole seconds, at least 1"
            ));
        }
        if self.warm_up.whole_s().is_none_or(|w| f64::from(w) >= seconds) {
            return Err(format!(
                "warm_up is {}; expected whole seconds, fewer than the load's {seconds}",
                self.warm_up
            ));
        }
        let weights = [self.mix.place, self.mix.get, self.mix.login, self.mix.signup];
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights.iter().sum::<f64>() <= 0.0
        {
            return Err("mix: weights are 0 or more, and one at least is more".to_owned());
        }
        if self.customers == 0 || self.customers > 10_000 {
            return Err(format!("customers is {}; expected 1 to 10000", self.customers));
        }
        if self.limits.in_flight == 0 || self.limits.in_flight > 20_000 {
            return Err(format!(
                "limits.in_flight is {}; expected 1 to 20000",
                self.limits.in_flight
            ));
        }
        if self.limits.timeout.0.is_zero() {
            return Err(
                "limits.timeout is 0; expected a time in which an answer can come".to_owned()
            );
        }
        Ok(())
    }

    fn check_rates(&self) -> Result<(), String> {
        let corners = match &self.curve {
            Curve::Intensity(corners) => corners.as_slice(),
            Curve::Stages | Curve::Trace(_) => &[],
        };
        let from_file = corners.iter().map(|(_, rate)| *rate);
        let rates = std::iter::once(self.start).chain(self.stages.iter().map(|s| s.rate));
        for rate in rates.chain(from_file) {
            if !(0.0..=RATE_MAX).contains(&rate) {
                return Err(format!("the rate {rate} is not between 0 and {RATE_MAX} per second"));
            }
        }
        for stage in &self.stages {
            match (stage.amplitude, stage.period) {
                (None, None) => {}
                (Some(amplitude), Some(period)) => {
                    if !(0.0..=stage.rate).contains(&amplitude) || period.0.is_zero() {
                        return Err(format!(
                            "a sine around {} swings by 0 to {0} and has a period; found {amplitude} and {period}",
                            stage.rate
                        ));
                    }
                }
                _ => return Err("a sine has both amplitude and period".to_owned()),
            }
        }
        Ok(())
    }

    fn check_provider(&self) -> Result<(), String> {
        let shares = [
            ("decline_rate", self.provider.decline_rate),
            ("error_rate", self.provider.error_rate),
        ];
        shares.iter().try_for_each(|(name, share)| check_share(name, *share))
    }

    fn check_phases(&self) -> Result<(), String> {
        let end = self.duration_s();
        let mut last = self.warm_up.as_s();
        for phase in &self.phases {
            let (Some(from), Some(to)) = (phase.from.whole_s(), phase.to.whole_s()) else {
                return Err(format!("phase {:?}: from and to are whole seconds", phase.name));
            };
            if f64::from(from) < last || to <= from || f64::from(to) > end {
                return Err(format!(
                    "phase {:?} is {from} s to {to} s; expected after the warm-up and the phase before it ({last} s), and within the load ({end} s)",
                    phase.name
                ));
            }
            last = f64::from(to);
        }
        Ok(())
    }

    fn check_thresholds(&self) -> Result<(), String> {
        let phases = self.phases();
        for threshold in &self.thresholds {
            let known = |name: &String| phases.iter().any(|p| p.name == *name);
            if let Some(name) = threshold.phase.as_ref().filter(|name| !known(name)) {
                let names: Vec<&str> = phases.iter().map(|p| p.name.as_str()).collect();
                return Err(format!(
                    "threshold {:?}: there is no phase {name:?}; there are {}",
                    threshold.expect.to_string(),
                    names.join(", ")
                ));
            }
        }
        Ok(())
    }

    fn check_fault(&self, fault: &FaultSpec) -> Result<(), String> {
        let name = format!("fault {} on {:?}", fault.kind.as_str(), fault.harm);
        if fault.lasts.0.is_zero() || fault.at.as_s() + fault.lasts.as_s() > self.duration_s() {
            return Err(format!(
                "{name}: at {} for {} does not lie within the load ({} s)",
                fault.at,
                fault.lasts,
                self.duration_s()
            ));
        }
        let settings =
            fault.latency.is_some() || fault.error_rate.is_some() || fault.decline_rate.is_some();
        match fault.kind {
            FaultKind::Provider if !settings => {
                return Err(format!("{name}: give latency, error_rate or decline_rate"));
            }
            FaultKind::Provider if fault.harm != "provider" => {
                return Err(format!("{name}: this kind harms the role \"provider\" only"));
            }
            FaultKind::Kill | FaultKind::Pause if settings => {
                return Err(format!(
                    "{name}: latency, error_rate and decline_rate belong to kind = \"provider\""
                ));
            }
            FaultKind::Kill | FaultKind::Pause | FaultKind::Provider => {}
        }
        for (name, share) in
            [("error_rate", fault.error_rate), ("decline_rate", fault.decline_rate)]
        {
            share.map_or(Ok(()), |share| check_share(name, share))?;
        }
        Ok(())
    }
}

fn check_share(name: &str, share: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(format!("{name} is {share}; expected 0 to 1"))
}

/// The file of a name: as given if it is a path, else `folder/name.toml`.
pub(crate) fn locate(folder: &str, name: &str) -> Result<PathBuf, ConfigError> {
    if name.contains('/') || name.ends_with(".toml") {
        return Ok(PathBuf::from(name));
    }
    let path = Path::new(folder).join(format!("{name}.toml"));
    if path.exists() {
        return Ok(path);
    }
    let known = names(folder);
    let nearest = known.iter().min_by_key(|k| strsim::damerau_levenshtein(k, name));
    let hint = match nearest {
        Some(near) => format!("; did you mean {near}? There are: {}", known.join(", ")),
        None => format!(
            "; there are no .toml files in ./{folder} (run from the project's folder, or give a path)"
        ),
    };
    Err(ConfigError::new(&path, format!("no such file{hint}")))
}

/// The names of the files in a folder, sorted.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let toml = entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "toml"));
    let mut names: Vec<String> = toml.map(|p| stem(&p)).collect();
    names.sort();
    names
}

pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
about = "x"
start = 10
stages = [{ duration = "30s", rate = 10 }]
mix = { place = 1 }
"#;

    #[track_caller]
    fn check(extra: &str, expected: Result<(), &str>) {
        let path = Path::new("s.toml");
        let result = config::parse::<Scenario>(path, &format!("{GOOD}{extra}"))
            .map_err(|e| e.to_string())
            .and_then(|s| s.check());
        match (&result, expected) {
            (Ok(()), Ok(())) => {}
            (Err(text), Err(part)) if text.contains(part) => {}
            _ => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn rules() {
        check("", Ok(()));
        check("startt = 3", Err("s.toml:6: unknown key `startt`; did you mean `start`?"));
        check("limits = { timeout = \"0s\" }", Err("limits.timeout is 0"));
        check("limits = { in_flight = 0 }", Err("limits.in_flight is 0"));
        check("warm_up = \"30s\"", Err("warm_up is 30s"));
        check("warm_up = \"1500ms\"", Err("warm_up is 1500ms"));
        check("customers = 0", Err("customers is 0"));
        check("provider = { decline_rate = 1.5 }", Err("decline_rate is 1.5"));
        check("provider = { latency = \"lognormal:80ms,20ms\" }", Err("lognormal:80ms,20ms"));
        check("closed = { users = 5, duration = \"9s\" }", Err("closed goes without stages"));
        check("session = { steps = [\"place\", \"pay\"] }", Err("the step \"pay\""));
        check("session = { steps = [] }", Err("no steps"));
        check("session = { steps = [\"login\", \"place\", \"get\"], think = \"1s\" }", Ok(()));
        check("trace = \"t.csv\"", Ok(())); // refused where files are read: give one of them
        check("[[phase]]\nname = \"a\"\nfrom = \"4s\"\nto = \"9s\"", Err("phase \"a\""));
        check(
            "[[phase]]\nname = \"a\"\nfrom = \"6s\"\nto = \"31s\"",
            Err("within the load (30 s)"),
        );
        let fault = |rest: &str| format!("[[fault]]\nat = \"6s\"\nfor = \"5s\"\n{rest}");
        check(&fault("harm = \"payments\"\nkind = \"kill\""), Ok(()));
        check(&fault("harm = \"payments\"\nkind = \"kil\""), Err("did you mean `kill`?"));
        check(&fault("harm = \"provider\"\nkind = \"provider\""), Err("give latency"));
        check(
            &fault("harm = \"orders\"\nkind = \"provider\"\nerror_rate = 0.5"),
            Err("\"provider\" only"),
        );
        check(&fault("harm = \"orders\"\nkind = \"kill\"\nerror_rate = 0.5"), Err("belong to"));
        check(
            "[[fault]]\nat = \"29s\"\nfor = \"5s\"\nharm = \"orders\"\nkind = \"kill\"",
            Err("within the load"),
        );
    }

    #[test]
    fn a_negative_rate_is_refused() {
        let text = GOOD.replace("rate = 10", "rate = -1");
        let scenario: Scenario = config::parse(Path::new("s.toml"), &text).unwrap();
        assert!(scenario.check().unwrap_err().contains("the rate -1 is not between"));
    }
}

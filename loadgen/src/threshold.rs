//! Thresholds: what a scenario promises, held against a finished record.
//!
//! `p(99) < 200ms`, `completed p(99) < 5s`, `failed < 1%`, `goodput > 50`, `lost == 0`, `drift < 10%`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::audit;
use crate::config::{self, Span};
use crate::drift::Drift;
use crate::record::latency::Metric;
use crate::record::read::{Spectrum, Trial};

pub use crate::record::Met;

/// One promise of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// What must hold.
    pub expect: Expectation,
    /// Of which operation; without it, of `place` (or of the only one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// In which phase; without it, in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// A quantity, a comparison, a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    quantity: Quantity,
    comparison: Comparison,
    /// Seconds, a share, a rate or a count.
    bound: f64,
    text: String,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Quantity {
    /// A quantile of a series of times; 1 is the maximum.
    Time(Series, f64),
    /// The share of arrivals that were not ok.
    Failed,
    /// Orders per second that were final within the objective.
    Goodput,
    /// How often the audit met a class.
    Class(String),
    /// By which share the last third of the load differs from the first.
    Drift,
}

/// What is given up is a little older than its time-out.
const GIVEN_UP_WITHIN_S: f64 = 0.05;

/// A condition that says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointless {
    /// always, or never.
    pub(crate) holds: &'static str,
    /// Why.
    pub(crate) why: String,
}

impl Quantity {
    /// The least and the largest value that it can have, and why.
    fn range(&self, longest_s: f64) -> (f64, f64, String) {
        match self {
            Self::Failed => (0.0, 1.0, "it is a share, 0 % to 100 %".to_owned()),
            Self::Time(Series::Response | Series::Accepted | Series::Service, _) => {
                let why = format!("a request is given up after {longest_s} s");
                (0.0, longest_s + GIVEN_UP_WITHIN_S, why)
            }
            Self::Time(Series::Completed | Series::Lag, _) => {
                (0.0, f64::INFINITY, "a time is 0 or more".to_owned())
            }
            Self::Goodput => (0.0, f64::INFINITY, "a rate is 0 or more".to_owned()),
            Self::Class(_) => (0.0, f64::INFINITY, "it is a count, 0, 1, 2 …".to_owned()),
            Self::Drift => (0.0, f64::INFINITY, "a difference is 0 or more".to_owned()),
        }
    }
}

/// Times of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    /// Done minus intended, of all outcomes.
    Response,
    /// The same, of ok answers.
    Accepted,
    /// Done minus sent.
    Service,
    /// Final state minus intended.
    Completed,
    /// Sent minus intended.
    Lag,
}

impl Series {
    const ALL: [(&str, Self); 5] = [
        ("response", Self::Response),
        ("accepted", Self::Accepted),
        ("service", Self::Service),
        ("completed", Self::Completed),
        ("lag", Self::Lag),
    ];
}

/// What a record says of a quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    /// Seconds, a share, a rate or a count.
    Value(f64),
    /// Longer than anything that ended.
    Longer,
    /// Nothing: there are only so many values.
    Unknown(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
}

impl Comparison {
    fn holds(self, found: f64, bound: f64) -> bool {
        match self {
            Self::Less => found < bound,
            Self::AtMost => found <= bound,
            Self::More => found > bound,
            Self::AtLeast => found >= bound,
            Self::Equal => (found - bound).abs() < f64::EPSILON,
        }
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "p(99) < 200ms, completed p(99) < 5s, max < 1s, failed < 1%, goodput > 50, lost == 0, drift < 10%";
        let wrong =
            |why: &str| format!("the condition {text:?}: {why}; it looks like one of {FORMS}");
        let signs = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("==", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::More),
        ];
        let found = signs.iter().find_map(|(sign, c)| Some((text.split_once(sign)?, *c)));
        let ((left, right), comparison) = found.ok_or_else(|| wrong("it compares nothing"))?;
        let left = left.trim();
        let quantity = quantity(left).ok_or_else(|| wrong(&unknown(left)))?;
        let right = right.trim();
        let bound = match &quantity {
            Quantity::Time(..) => right.parse::<Span>().map(Span::as_s).ok(),
            Quantity::Failed | Quantity::Drift => right.strip_suffix('%').map_or_else(
                || right.parse().ok(),
                |percent| percent.trim().parse::<f64>().ok().map(|p| p / 100.0),
            ),
            Quantity::Goodput | Quantity::Class(_) => right.parse().ok(),
        };
        let bound =
            bound.filter(|b| b.is_finite()).ok_or_else(|| wrong("its bound is not known"))?;
        Ok(Self { quantity, comparison, bound, text: text.trim().to_owned() })
    }
}

fn quantity(text: &str) -> Option<Quantity> {
    match text {
        "failed" => return Some(Quantity::Failed),
        "goodput" => return Some(Quantity::Goodput),
        "drift" => return Some(Quantity::Drift),
        class if audit::classes().any(|c| c == class) => {
            return Some(Quantity::Class(class.to_owned()));
        }
        _ => {}
    }
    let (series, stat) = text.rsplit_once(' ').unwrap_or(("response", text));
    let (_, series) = Series::ALL.into_iter().find(|(name, _)| *name == series.trim())?;
    if stat == "max" {
        return Some(Quantity::Time(series, 1.0));
    }
    let percent: f64 = stat.strip_prefix("p(")?.strip_suffix(')')?.parse().ok()?;
    (percent > 0.0 && percent < 100.0).then_some(Quantity::Time(series, percent / 100.0))
}

/// What is wrong with a quantity, and which one was probably meant.
fn unknown(left: &str) -> String {
    let word = left.split_once(' ').map_or(left, |(word, _)| word);
    let series = Series::ALL.into_iter().map(|(name, _)| name);
    let valid =
        ["failed", "goodput", "drift", "max"].into_iter().chain(series).chain(audit::classes());
    let meant = config::nearest(word, &valid.collect::<Vec<_>>()).filter(|meant| *meant != word);
    let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    format!("its quantity is not known{meant}")
}

impl Threshold {
    /// How this promise fared in a finished trial, phase by phase.
    #[must_use]
    pub fn judge(&self, trial: &Trial) -> Vec<Met> {
        let operation = self.operation.clone().unwrap_or_else(|| trial.main_operation().to_owned());
        let found = self.found(trial, &operation).into_iter();
        found.map(|(phase, found)| self.met(operation.clone(), phase, found)).collect()
    }

    /// Whether a finished trial has too few values to say that it was met, and does not say either
    /// that it was not.
    pub(crate) fn is_unknown(&self, trial: &Trial) -> bool {
        let operation = self.operation.as_deref().unwrap_or_else(|| trial.main_operation());
        self.found(trial, operation).iter().any(|(_, found)| matches!(found, Found::Unknown(_)))
    }

    /// Phase by phase, with its name; the audit's classes and the drift belong to the whole trial.
    fn found(&self, trial: &Trial, operation: &str) -> Vec<(String, Found)> {
        let whole = match &self.expect.quantity {
            Quantity::Class(class) => Some(counted(trial, class)),
            Quantity::Drift => Some(Drift::of(trial).and_then(|drift| drift.worst())),
            Quantity::Time(..) | Quantity::Failed | Quantity::Goodput => None,
        };
        if let Some(whole) = whole {
            return vec![(String::new(), Found::value(whole))];
        }
        let phases = trial.manifest.phases.iter().enumerate();
        let wanted = phases.filter(|(_, p)| self.phase.as_ref().is_none_or(|name| *name == p.name));
        let found = |index| self.expect.found(trial, index, operation);
        wanted.map(|(index, phase)| (phase.name.clone(), found(index))).collect()
    }

    fn met(&self, operation: String, phase: String, found: Found) -> Met {
        let (found, why) = match found {
            Found::Value(value) => (Some(value), String::new()),
            Found::Longer => (None, "longer than any that ended".to_owned()),
            Found::Unknown(has) => (None, self.expect.unknown(has)),
        };
        let met = found.is_some_and(|found| self.expect.holds(found));
        Met { expect: self.expect.to_string(), operation, phase, found, met, why }
    }
}

impl Found {
    fn value(value: Option<f64>) -> Self {
        value.map_or(Self::Unknown(0), Self::Value)
    }

    fn us(us: Option<u64>, without: Self) -> Self {
        us.map_or(without, |us| Self::Value(us as f64 / 1e6))
    }
}

fn counted(trial: &Trial, class: &str) -> Option<f64> {
    let verdict = trial.audit.as_ref()?;
    let all = verdict.violations.iter().chain(&verdict.oddities);
    all.into_iter().find(|f| f.class == class).map(|f| f.count as f64)
}

impl Expectation {
    /// What is compared.
    pub(crate) fn quantity(&self) -> &Quantity {
        &self.quantity
    }

    /// The fewest values from which it can be judged.
    pub(crate) fn least(&self) -> u64 {
        match self.quantity {
            Quantity::Time(_, q) if q < 1.0 => Spectrum::least(q),
            Quantity::Time(..) | Quantity::Failed => 1,
            Quantity::Goodput | Quantity::Class(_) | Quantity::Drift => 0,
        }
    }

    /// Why so few values say nothing of it.
    pub(crate) fn unknown(&self, has: u64) -> String {
        match (&self.quantity, self.least()) {
            (Quantity::Class(_), _) => "not known: the audit did not count it".to_owned(),
            (Quantity::Drift, _) => "not known: nobody was watched".to_owned(),
            (_, least) => format!("not known: there are {has} values, {least} are needed"),
        }
    }

    /// Whether it asks for a goodput, which cannot exceed what is offered.
    pub(crate) fn asks_for_goodput(&self) -> bool {
        let asks =
            matches!(self.comparison, Comparison::More | Comparison::AtLeast | Comparison::Equal);
        self.quantity == Quantity::Goodput && asks
    }

    /// Whether it holds the thirds of a load against each other.
    pub(crate) fn compares_thirds(&self) -> bool {
        self.quantity == Quantity::Drift
    }

    /// Whether every value that its quantity can have meets it, or none does; `longest_s` is the longest
    /// that a request can take until it is given up.
    pub(crate) fn pointless(&self, longest_s: f64) -> Option<Pointless> {
        let (from, to, why) = self.quantity.range(longest_s);
        let is_count = matches!(self.quantity, Quantity::Class(_));
        let c = self.comparison;
        // A bound between two whole numbers parts them, but equals neither.
        let at = |value: f64| c.holds(value, self.bound);
        let inside = (from..=to).contains(&self.bound);
        let fits = !is_count || self.bound.fract() == 0.0;
        let some = at(from) || at(to) || (inside && fits && at(self.bound));
        let all = at(from) && at(to) && (c != Comparison::Equal || from >= to);
        match (some, all) {
            (false, _) => Some(Pointless { holds: "never", why }),
            (true, true) => Some(Pointless { holds: "always", why }),
            (true, false) => None,
        }
    }

    /// Whether it holds for a value in seconds, as a share, a rate or a count.
    #[must_use]
    pub fn holds(&self, found: f64) -> bool {
        self.comparison.holds(found, self.bound)
    }

    /// A found value with the unit of its quantity.
    #[must_use]
    pub fn shown(&self, found: f64) -> String {
        match self.quantity {
            Quantity::Time(..) if found < 1.0 => format!("{} ms", rounded(found * 1e3)),
            Quantity::Time(..) => format!("{} s", rounded(found)),
            Quantity::Failed | Quantity::Drift => format!("{} %", rounded(found * 100.0)),
            Quantity::Goodput => format!("{} per second", rounded(found)),
            Quantity::Class(_) => rounded(found),
        }
    }

    fn found(&self, trial: &Trial, phase: usize, operation: &str) -> Found {
        match &self.quantity {
            Quantity::Time(series, q) => time(trial, phase, operation, (*series, *q)),
            Quantity::Failed => {
                let (ok, all) = outcomes(trial, phase, operation).unwrap_or_default();
                let share = all.saturating_sub(ok) as f64 / all.max(1) as f64;
                Found::value((all > 0).then_some(share))
            }
            Quantity::Goodput => {
                let completed =
                    trial.latencies.times(phase, operation, Metric::Completed, |o| o == "ok");
                let within_us = (trial.manifest.limits.objective_s * 1e6) as u64;
                let bounds = &trial.manifest.phases[phase];
                let seconds = f64::from(bounds.to_s.saturating_sub(bounds.from_s).max(1));
                Found::Value(completed.count_up_to(within_us) as f64 / seconds)
            }
            Quantity::Class(_) | Quantity::Drift => Found::Unknown(0),
        }
    }
}

fn time(trial: &Trial, phase: usize, operation: &str, (series, q): (Series, f64)) -> Found {
    let times =
        |metric, wanted: fn(&str) -> bool| trial.latencies.times(phase, operation, metric, wanted);
    let any: fn(&str) -> bool = |_| true;
    let ok: fn(&str) -> bool = |outcome| outcome == "ok";
    let spectrum = match series {
        Series::Response => times(Metric::Response, any),
        Series::Accepted => times(Metric::Response, ok),
        Series::Service => times(Metric::Service, any),
        Series::Completed => times(Metric::Completed, ok),
        Series::Lag => times(Metric::Lag, any),
    };
    let (open, endless) = if series == Series::Completed {
        // Accepted orders that never became final are longer than any.
        (None, times(Metric::Response, ok).count().saturating_sub(spectrum.count()))
    } else {
        // An open request's time is "at least": nothing above it is known.
        (times(Metric::Response, |outcome| outcome == "unfinished").min(), 0)
    };
    let has = spectrum.count() + endless;
    if has < if q < 1.0 { Spectrum::least(q) } else { 1 } {
        return Found::Unknown(has);
    }
    let found = match (q >= 1.0, endless) {
        (true, 0) => spectrum.max(),
        (true, _) => None,
        (false, _) => spectrum.quantile_with_endless(q, endless),
    };
    Found::us(found.filter(|us| open.is_none_or(|open| *us < open)), Found::Longer)
}

/// Three decimals at most, no trailing zeros.
fn rounded(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Ok and all arrivals of an operation in a phase.
fn outcomes(trial: &Trial, phase: usize, operation: &str) -> Option<(u64, u64)> {
    let bounds = trial.manifest.phases.get(phase)?;
    let within = |t_s: u32| (bounds.from_s..bounds.to_s).contains(&t_s);
    let rows = trial.timeline.iter().filter(|r| r.operation == operation && within(r.t_s));
    Some(rows.fold((0, 0), |(ok, all), row| (ok + row.ok, all + row.offered)))
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Expectation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Finding, Manifest, Phase, TimelineRow, Verdict};

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let error = text.parse::<Expectation>().unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn texts() {
        for text in [
            "p(99) < 200ms",
            "completed p(99.9) <= 5s",
            "service max < 1s",
            "failed < 1%",
            "failed <= 0.01",
            "goodput >= 50",
            "lost == 0",
            "double-charge == 0",
            "drift < 10%",
        ] {
            assert_eq!(text.parse::<Expectation>().unwrap().to_string(), text);
        }
        refused("p(99)", "compares nothing");
        refused("p(100) < 1s", "quantity");
        refused("speed < 1s", "its quantity is not known; it looks like");
        refused("faild < 1%", "did you mean `failed`?");
        refused("respons p(99) < 1s", "did you mean `response`?");
        refused("p(99) < 200", "bound");
        refused("lost == none", "bound");
    }

    #[test]
    fn a_value_has_its_unit() {
        let shown = |text: &str, found| text.parse::<Expectation>().unwrap().shown(found);
        assert_eq!(shown("p(99) < 1s", 0.0123), "12.3 ms");
        assert_eq!(shown("max < 1s", 4.5), "4.5 s");
        assert_eq!(shown("failed < 1%", 0.8333), "83.33 %");
        assert_eq!(shown("goodput > 5", 10.0), "10 per second");
        assert_eq!(shown("lost == 0", 2.0), "2");
        assert_eq!(shown("drift < 10%", 0.25), "25 %");
    }

    fn trial() -> Trial {
        let phase = Phase { name: "during".to_owned(), from_s: 1, to_s: 3 };
        let row = |t_s, ok, offered| TimelineRow {
            t_s,
            operation: "place".to_owned(),
            ok,
            offered,
            ..TimelineRow::default()
        };
        let lost = Finding { class: "lost".to_owned(), count: 2, ..Finding::default() };
        Trial {
            manifest: Manifest { phases: vec![phase], ..Manifest::default() },
            timeline: vec![row(0, 0, 100), row(1, 10, 10), row(2, 9, 10)],
            audit: Some(Verdict { violations: vec![lost], ..Verdict::default() }),
            ..Trial::default()
        }
    }

    #[track_caller]
    fn check(text: &str, found: Option<f64>, met: bool) {
        let expect = text.parse().unwrap();
        let judged = Threshold { expect, operation: None, phase: None }.judge(&trial());
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].met, met, "{judged:?}");
        assert_eq!(judged[0].found.map(|f| (f * 1e6).round()), found.map(|f| (f * 1e6).round()));
    }

    #[test]
    fn what_is_not_known_is_not_met() {
        check("failed <= 5%", Some(0.05), true);
        check("failed < 5%", Some(0.05), false);
        check("lost == 0", Some(2.0), false);
        check("lost == 2", Some(2.0), true);
        check("duplicated == 0", None, false);
        check("p(99) < 1h", None, false);
    }

    #[test]
    fn too_few_values_are_told_with_those_that_are_needed() {
        let why = |text: &str| {
            let expect = text.parse().unwrap();
            let judged = Threshold { expect, operation: None, phase: None }.judge(&trial());
            judged[0].found(|found| found.to_string())
        };
        assert_eq!(why("p(99.9) < 1s"), "not known: there are 0 values, 3688 are needed");
        assert_eq!(why("max < 1s"), "not known: there are 0 values, 1 are needed");
        assert_eq!(why("duplicated == 0"), "not known: the audit did not count it");
        assert_eq!(why("lost == 0"), "2");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Expectation>();
        }
    }
}

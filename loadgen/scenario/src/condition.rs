//! Conditions on what a load came to, as scenarios write them. Who holds them against a record, or a
//! load that runs, stands elsewhere.
//!
//! `p(99) < 200ms`, `completed p(99) < 5s`, `failed < 1%`, `goodput > 50`, `lost == 0`, `drift < 10%`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{self, Span};
use record::classes;
use record::read::Spectrum;

/// The phases that a condition on the drift compares.
pub const FIRST_THIRD: &str = "first third";
/// As above.
pub const LAST_THIRD: &str = "last third";

/// A quantity, a comparison, a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    quantity: Quantity,
    comparison: Comparison,
    /// Seconds, a share, a rate or a count.
    bound: f64,
    text: String,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
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
pub struct Pointless {
    /// always, or never.
    pub holds: &'static str,
    /// Why.
    pub why: String,
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
pub enum Series {
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

impl FromStr for Condition {
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
        class if classes().any(|c| c == class) => {
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
    let valid = ["failed", "goodput", "drift", "max"].into_iter().chain(series).chain(classes());
    let meant = config::nearest(word, &valid.collect::<Vec<_>>()).filter(|meant| *meant != word);
    let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    format!("its quantity is not known{meant}")
}

impl Condition {
    /// What is compared.
    pub fn quantity(&self) -> &Quantity {
        &self.quantity
    }

    /// The fewest values from which it can be judged.
    pub fn least(&self) -> u64 {
        match self.quantity {
            Quantity::Time(_, q) if q < 1.0 => Spectrum::least(q),
            Quantity::Time(..) | Quantity::Failed => 1,
            Quantity::Goodput | Quantity::Class(_) | Quantity::Drift => 0,
        }
    }

    /// Why so few values say nothing of it.
    pub fn unknown(&self, has: u64) -> String {
        match (&self.quantity, self.least()) {
            (Quantity::Class(_), _) => "not known: the audit did not count it".to_owned(),
            (Quantity::Drift, _) => "not known: nobody was watched".to_owned(),
            (_, least) => format!("not known: there are {has} values, {least} are needed"),
        }
    }

    /// Whether it asks for a goodput, which cannot exceed what is offered.
    pub fn asks_for_goodput(&self) -> bool {
        let asks =
            matches!(self.comparison, Comparison::More | Comparison::AtLeast | Comparison::Equal);
        self.quantity == Quantity::Goodput && asks
    }

    /// Whether it holds the thirds of a load against each other.
    pub fn compares_thirds(&self) -> bool {
        self.quantity == Quantity::Drift
    }

    /// Whether every value that its quantity can have meets it, or none does; `longest_s` is the longest
    /// that a request can take until it is given up.
    pub fn pointless(&self, longest_s: f64) -> Option<Pointless> {
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
}

/// Three decimals at most, no trailing zeros.
fn rounded(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let error = text.parse::<Condition>().unwrap_err();
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
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
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
        let shown = |text: &str, found| text.parse::<Condition>().unwrap().shown(found);
        assert_eq!(shown("p(99) < 1s", 0.0123), "12.3 ms");
        assert_eq!(shown("max < 1s", 4.5), "4.5 s");
        assert_eq!(shown("failed < 1%", 0.8333), "83.33 %");
        assert_eq!(shown("goodput > 5", 10.0), "10 per second");
        assert_eq!(shown("lost == 0", 2.0), "2");
        assert_eq!(shown("drift < 10%", 0.25), "25 %");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Condition>();
        }
    }
}

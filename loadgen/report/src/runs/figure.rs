//! One figure of a system in two runs: its change over the pairs of trials, and whether it may be called one.

use serde::Serialize;

use super::Machine;
use crate::compare::Spread;
use crate::differences::{LEAST_PAIRS, interval};
use crate::figures::{Figure as Measured, Figures, Time};
use crate::words;
use record::read::Trial;

/// A change of time or cost that is smaller is not claimed between runs: what nobody changed moves by so much from
/// hour to hour.
const LEAST_FACTOR: f64 = 1.05;
/// A smaller change of a share is not claimed.
const LEAST_POINTS: f64 = 0.01;

/// A pair of trials that were asked the same.
type Pair<'t> = (&'t Trial, &'t Trial);

/// What is said of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// B's is higher.
    Higher,
    /// B's is lower.
    Lower,
    /// No difference is claimed.
    None,
    /// There are fewer pairs than an interval needs.
    TooFew,
}

/// A figure in both runs.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Which one.
    pub name: &'static str,
    /// A's median over the pairs; in ms, or a share.
    pub a: Option<f64>,
    /// B's.
    pub b: Option<f64>,
    /// Median of the pairs' changes: B's as a multiple of A's, or of shares B's minus A's.
    pub change: Option<f64>,
    /// The 95 % interval of that median.
    pub interval: Option<(f64, f64)>,
    /// Of how many pairs: those of which both have a value.
    pub n: usize,
    /// What is said of it.
    pub claim: Claim,
    #[serde(skip)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Share,
    Time,
    Cost,
}

type Value<'p> = Box<dyn Fn(&Trial) -> Option<Measured> + 'p>;

/// What is compared of the trials of these pairs.
pub(super) fn figures(
    pairs: &[Pair<'_>],
    phase: &str,
    is_shop: bool,
    machine: &Machine,
) -> Vec<Figure> {
    let of = |trial: &Trial| Figures::named(trial, phase);
    let ms = |time: Option<Time>| time.filter(|time| !time.at_least).map(Measured::from);
    let mut wanted: Vec<(&'static str, Kind, Value<'_>)> = vec![
        ("accepted", Kind::Share, Box::new(move |t| of(t)?.ok_share())),
        ("accepted p50", Kind::Time, Box::new(move |t| ms(of(t)?.accepted.quantile(0.5)))),
        ("accepted p99", Kind::Time, Box::new(move |t| ms(of(t)?.accepted.quantile(0.99)))),
    ];
    let of_orders: Vec<(&'static str, Kind, Value<'_>)> = vec![
        ("in time", Kind::Share, Box::new(move |t| of(t)?.in_time_share())),
        ("completed p50", Kind::Time, Box::new(move |t| ms(of(t)?.completed.quantile(0.5)))),
        ("completed p99", Kind::Time, Box::new(move |t| ms(of(t)?.completed.quantile(0.99)))),
        (
            "CPU per order",
            Kind::Cost,
            Box::new(|t| t.manifest.cost.cpu_ms_per_completed_order.map(Measured::from)),
        ),
    ];
    wanted.extend(of_orders.into_iter().filter(|_| is_shop));
    wanted
        .into_iter()
        .map(|(name, kind, value)| Figure::of(name, kind, &values(pairs, value), machine))
        .collect()
}

fn values(
    pairs: &[Pair<'_>],
    value: impl Fn(&Trial) -> Option<Measured>,
) -> Vec<(Measured, Measured)> {
    pairs.iter().filter_map(|(a, b)| Some((value(a)?, value(b)?))).collect()
}

impl Figure {
    fn of(
        name: &'static str,
        kind: Kind,
        values: &[(Measured, Measured)],
        machine: &Machine,
    ) -> Self {
        // Of figures with two ends the unfavourable ones count.
        let change = |(a, b): &(Measured, Measured)| {
            let of = |a: f64, b: f64| if kind == Kind::Share { b - a } else { b / a };
            let (value, least, most) =
                (of(a.value, b.value), of(a.most, b.least), of(a.least, b.most));
            Some(Measured { value, least, most }).filter(|_| !value.is_nan())
        };
        let changes: Vec<Measured> = values.iter().filter_map(change).collect();
        let median = |values: Vec<Measured>| Spread::of(values).map(|spread| spread.median);
        let mut figure = Self {
            name,
            a: median(values.iter().map(|(a, _)| *a).collect()),
            b: median(values.iter().map(|(_, b)| *b).collect()),
            change: median(changes.clone()),
            interval: interval(&changes),
            n: changes.len(),
            claim: Claim::TooFew,
            kind,
        };
        if figure.n >= LEAST_PAIRS {
            figure.claim = figure.claim(machine);
        }
        figure
    }

    /// The whole interval must lie beyond what the machine changed by.
    fn claim(&self, machine: &Machine) -> Claim {
        let (Some((lo, hi)), Some(a)) = (self.interval, self.a) else { return Claim::None };
        let factor = machine.factor(LEAST_FACTOR);
        // A time may have changed by the disk, too: both are granted.
        let disk = if a > 0.0 { machine.disk_ms() / a } else { 0.0 };
        let (below, above) = match self.kind {
            Kind::Share => (-LEAST_POINTS, LEAST_POINTS),
            Kind::Time => (1.0 / factor - disk, factor + disk),
            Kind::Cost => (1.0 / factor, factor),
        };
        if lo > above {
            Claim::Higher
        } else if hi < below {
            Claim::Lower
        } else {
            Claim::None
        }
    }

    /// A value of it, as a reader meets it.
    pub(super) fn shown(&self, value: Option<f64>) -> String {
        match value {
            None => "–".to_owned(),
            Some(value) if self.kind == Kind::Share => words::percent(value),
            Some(value) if value.is_finite() => words::millis(value),
            Some(_) => "not final".to_owned(),
        }
    }

    /// The change with its interval.
    pub(super) fn shown_change(&self) -> String {
        let Some(change) = self.change else { return "–".to_owned() };
        let number = |value: f64| match self.kind {
            Kind::Share => format!("{:+.1}", value * 100.0),
            Kind::Time | Kind::Cost if value.is_infinite() => "∞".to_owned(),
            Kind::Time | Kind::Cost => format!("{value:.2}"),
        };
        let unit = if self.kind == Kind::Share { " points" } else { " ×" };
        let range = self.interval.map(|(lo, hi)| format!(" [{}, {}]", number(lo), number(hi)));
        format!("{}{unit}{}", number(change), range.unwrap_or_default())
    }
}

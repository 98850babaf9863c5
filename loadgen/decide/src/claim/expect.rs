//! `[[expect]]`: a figure, of whom, and between which bounds it must be.

use std::collections::BTreeMap;

use scenario::config;
use serde::Deserialize;
use toml::Spanned;

use super::file::{Arm, Sweep};
use super::measure::{Kind, Measure};

/// The smallest change that matters where a claim names none: 5 % of an amount, a point of a share.
pub const MARGIN: (f64, f64) = (1.05, 0.01);

/// One expectation of a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// Which figure.
    pub measure: Measure,
    /// Of which operation; without it, of the main one.
    pub operation: Option<String>,
    /// Of what.
    pub of: Quantity,
    /// When it is met.
    pub rule: Rule,
}

/// An arm, in a phase where one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The arm's name.
    pub arm: String,
    /// The phase; without one, all arrivals after the warm-up.
    pub phase: Option<String>,
}

/// What is held against the bounds, block by block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The figure itself.
    One(Cell),
    /// The first cell's as a multiple of the second's.
    Ratio(Cell, Cell),
    /// The first cell's minus the second's.
    Difference(Cell, Cell),
}

/// When an expectation is met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// The quantity lies within bounds.
    Within(Bounds),
    /// The quantity changes along the sweep.
    Trend(Change),
}

/// From where to where; open where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// At least this.
    pub low: Option<f64>,
    /// At most this.
    pub high: Option<f64>,
}

/// A change from the first to the last point of a sweep, and no step against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Which way.
    pub direction: Direction,
    /// The smallest that matters: a factor above 1 of amounts and ratios, else a difference above 0.
    pub margin: f64,
    /// Whether it is a factor.
    pub is_factor: bool,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Up.
    Rises,
    /// Down.
    Falls,
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpect {
    figure: Spanned<String>,
    of: Spanned<String>,
    phase: Option<String>,
    operation: Option<String>,
    at_least: Option<f64>,
    at_most: Option<f64>,
    within: Option<f64>,
    trend: Option<Direction>,
    by: Option<f64>,
}

/// What is wrong, and at which byte of the file.
pub(super) type Wrong = (Option<usize>, String);

impl RawExpect {
    pub(super) fn checked(
        self,
        arms: &BTreeMap<String, Arm>,
        sweep: Option<&Sweep>,
    ) -> Result<Expect, Wrong> {
        let (figure_at, of_at) = (self.figure.span().start, self.of.span().start);
        let measure =
            Measure::named(self.figure.get_ref()).map_err(|text| (Some(figure_at), text))?;
        let at_of = |text: String| (Some(of_at), text);
        let of = quantity(self.of.get_ref(), self.phase.as_deref(), arms).map_err(at_of)?;
        suits(&measure, &of).map_err(at_of)?;
        let rule = self.rule(&measure, &of, sweep).map_err(at_of)?;
        Ok(Expect { measure, operation: self.operation, of, rule })
    }

    fn rule(
        &self,
        measure: &Measure,
        of: &Quantity,
        sweep: Option<&Sweep>,
    ) -> Result<Rule, String> {
        let bounds = Bounds { low: self.at_least, high: self.at_most };
        match (bounds.is_open(), self.within, self.trend) {
            (false, None, None) if self.by.is_none() => bounds.checked(measure, of).map(Rule::Within),
            (true, Some(margin), None) if self.by.is_none() => around(margin, of).map(Rule::Within),
            (true, None, Some(direction)) => {
                change(direction, self.by, measure, of, sweep).map(Rule::Trend)
            }
            _ => Err("expected at_least and at_most, or one of them, or `within`, or `trend` (perhaps with `by`)".to_owned()),
        }
    }
}

impl Bounds {
    fn is_open(self) -> bool {
        self.low.is_none() && self.high.is_none()
    }

    fn checked(self, measure: &Measure, of: &Quantity) -> Result<Self, String> {
        let given = || self.low.into_iter().chain(self.high);
        if !given().all(f64::is_finite)
            || self.low.zip(self.high).is_some_and(|(low, high)| low > high)
        {
            return Err("at_least and at_most must be numbers, the first no greater".to_owned());
        }
        let is_part = |bound: f64| (0.0..=1.0).contains(&bound);
        if measure.kind == Kind::Share && matches!(of, Quantity::One(_)) && !given().all(is_part) {
            return Err(format!("{}: a share is from 0 to 1 (0.99 is 99 %)", measure.name));
        }
        Ok(self)
    }
}

/// As near as `margin` to no difference.
fn around(margin: f64, of: &Quantity) -> Result<Bounds, String> {
    let between = |low, high| Ok(Bounds { low: Some(low), high: Some(high) });
    match of {
        Quantity::Ratio(..) if margin > 1.0 && margin.is_finite() => between(1.0 / margin, margin),
        Quantity::Ratio(..) => {
            Err(format!("within = {margin}: a ratio's margin is a factor above 1, such as 1.05"))
        }
        Quantity::Difference(..) if margin > 0.0 && margin.is_finite() => between(-margin, margin),
        Quantity::Difference(..) => {
            Err(format!("within = {margin}: a difference's margin is above 0"))
        }
        Quantity::One(_) => {
            Err("`within` compares two: `of = \"a / b\"` or `of = \"a - b\"`".to_owned())
        }
    }
}

fn change(
    direction: Direction,
    by: Option<f64>,
    measure: &Measure,
    of: &Quantity,
    sweep: Option<&Sweep>,
) -> Result<Change, String> {
    if sweep.is_none_or(|sweep| sweep.values.len() < 2) {
        return Err("a trend needs a `sweep` of two values at least".to_owned());
    }
    let is_amount = matches!(measure.kind, Kind::Amount(_));
    let is_factor = is_amount && !matches!(of, Quantity::Difference(..));
    let margin = by.unwrap_or(if is_factor { MARGIN.0 } else { MARGIN.1 });
    let least = if is_factor { 1.0 } else { 0.0 };
    if !margin.is_finite() || margin <= least {
        return Err(format!("by = {margin}: the smallest change that matters is above {least}"));
    }
    if is_amount && by.is_none() && !is_factor {
        return Err(
            "a trend of a difference needs `by`, the smallest change that matters".to_owned()
        );
    }
    Ok(Change { direction, margin, is_factor })
}

/// Of what may be 0 there is no ratio, and events are added up over blocks.
fn suits(measure: &Measure, of: &Quantity) -> Result<(), String> {
    match (measure.kind, of) {
        (Kind::Share | Kind::Count, Quantity::Ratio(..)) => Err(format!(
            "{} may be 0, which has no ratio: take the difference, \"a - b\"",
            measure.name
        )),
        (Kind::Event, Quantity::Ratio(..) | Quantity::Difference(..)) => Err(format!(
            "{} is an event: its share over the blocks of one arm is judged",
            measure.name
        )),
        _ => Ok(()),
    }
}

/// `arm`, `arm / arm`, `arm - arm`; each perhaps with its phase, as `arm@during`.
fn quantity(
    text: &str,
    phase: Option<&str>,
    arms: &BTreeMap<String, Arm>,
) -> Result<Quantity, String> {
    let cell = |word: &str| cell(word.trim(), phase, arms);
    if let Some((one, other)) = text.split_once(" / ") {
        return Ok(Quantity::Ratio(cell(one)?, cell(other)?));
    }
    if let Some((one, other)) = text.split_once(" - ") {
        return Ok(Quantity::Difference(cell(one)?, cell(other)?));
    }
    Ok(Quantity::One(cell(text)?))
}

fn cell(word: &str, phase: Option<&str>, arms: &BTreeMap<String, Arm>) -> Result<Cell, String> {
    let (arm, own) = word.split_once('@').map_or((word, None), |(arm, own)| (arm, Some(own)));
    if !arms.contains_key(arm) {
        let names: Vec<&str> = arms.keys().map(String::as_str).collect();
        return Err(config::unknown("arm", arm, &names));
    }
    Ok(Cell { arm: arm.to_owned(), phase: own.or(phase).map(str::to_owned) })
}

impl Expect {
    /// Whether the counts of each block decide it.
    #[must_use]
    pub fn is_by_counts(&self) -> bool {
        matches!((self.measure.kind, &self.rule), (Kind::Share | Kind::Count, Rule::Within(_)))
    }
}

impl Quantity {
    /// Its cells, one or two.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        let (one, other) = match self {
            Self::One(cell) => (cell, None),
            Self::Ratio(one, other) | Self::Difference(one, other) => (one, Some(other)),
        };
        std::iter::once(one).chain(other)
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.phase {
            Some(phase) => write!(f, "{} {phase}", self.arm),
            None => f.write_str(&self.arm),
        }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(cell) => cell.fmt(f),
            Self::Ratio(one, other) => write!(f, "{one} / {other}"),
            Self::Difference(one, other) => write!(f, "{one} − {other}"),
        }
    }
}

//! One finding: a quantity held against its bounds, with the words for it.

use crate::claim::{Bounds, Change, Direction, Expect, Kind, Quantity, Rule, digits};
use crate::verdict::series::Series;

/// What is said of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is met.
    Holds,
    /// It is not met.
    Fails,
    /// Neither is shown.
    Undecided,
}

/// What a finding rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proof {
    /// The counts of each block: in how many its bounds lie inside, in how many outside.
    Counts {
        /// Surely inside.
        inside: usize,
        /// Surely outside.
        outside: usize,
    },
    /// The signs of blocks: how many surely lie on the side that is leant to.
    Signs {
        /// How many.
        beyond: usize,
    },
    /// Events, one a block: how many came so, for sure.
    Events {
        /// How many.
        came: usize,
    },
    /// The change along a sweep: how many blocks changed by so much, and whether a step goes against it.
    Steps {
        /// How many blocks lie on the side that is leant to.
        beyond: usize,
        /// The points of the step that goes against it, from 0.
        against: Option<(usize, usize)>,
    },
    /// There are fewer blocks than it takes.
    TooFew {
        /// How many it takes.
        needs: usize,
    },
}

/// What was found for one expectation, at one point of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was measured, in words: the figure, and of whom.
    pub what: String,
    /// The point of the claim's sweep, from 0; of a trend and without a sweep none.
    pub point: Option<usize>,
    /// Whether it is about the claim's control arm alone.
    pub is_control: bool,
    /// What it would be by itself.
    pub lean: Side,
    /// What is said when chance in all findings is allowed for.
    pub side: Side,
    /// The median over the blocks.
    pub effect: Option<f64>,
    /// Lower end: of facts the least that any block allows, else of the interval of the median.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The bounds, or the smallest change that matters, in words.
    pub margin: String,
    /// How many blocks have a value.
    pub blocks: usize,
    /// How many have none.
    pub left_out: usize,
    /// Of how many arrivals or orders in all blocks; 0 where that says nothing.
    pub arrivals: f64,
    /// The chance of what was found, if there were nothing; of facts none.
    pub p: Option<f64>,
    /// The same beside all other findings.
    pub adjusted: Option<f64>,
    /// What it rests on.
    pub proof: Proof,
    unit: Unit,
}

/// How its values are shown.
#[derive(Clone, Debug, PartialEq)]
enum Unit {
    Of(crate::Measure),
    Times,
    Points,
}

impl Finding {
    /// One that nothing has been found for yet.
    pub(super) fn new(series: &Series<'_>, proof: Proof) -> Self {
        let (claim, expect) = (series.claim, series.expect);
        let is_trend = matches!(expect.rule, Rule::Trend(_));
        let unit = Unit::of(expect);
        Self {
            what: what(expect),
            point: claim.sweep.as_ref().map(|_| series.point).filter(|_| !is_trend),
            is_control: claim.is_control(expect),
            lean: Side::Undecided,
            side: Side::Undecided,
            effect: None,
            low: None,
            high: None,
            margin: margin(&expect.rule, &unit),
            blocks: series.values.len(),
            left_out: series.left_out,
            arrivals: series.arrivals(),
            p: None,
            adjusted: None,
            proof,
            unit,
        }
    }

    /// Settles what it leans to, by itself.
    pub(super) fn lean(mut self, side: Side) -> Self {
        (self.lean, self.side) = (side, side);
        self
    }

    /// Why, in one sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut text =
            format!("{}: {}, expected {}; {}", self.what, self.range(), self.margin, self.proof());
        if self.left_out > 0 {
            let blocks = if self.left_out == 1 { "block has" } else { "blocks have" };
            text += &format!("; {} {blocks} no value", self.left_out);
        }
        text + "."
    }

    fn range(&self) -> String {
        let Some(effect) = self.effect else { return "nothing measured".to_owned() };
        let (Some(low), Some(high)) = (self.low, self.high) else { return self.unit.shown(effect) };
        format!("{} [{}, {}]", self.unit.shown(effect), self.unit.shown(low), self.unit.shown(high))
    }

    fn proof(&self) -> String {
        let all = self.blocks;
        let way = match self.lean {
            Side::Holds => "so",
            Side::Fails => "not so",
            Side::Undecided => "on either side",
        };
        match self.proof {
            Proof::TooFew { needs } => format!("{all} of the {needs} blocks that it takes"),
            Proof::Counts { inside, outside } => self.counted(inside, outside),
            Proof::Signs { beyond } => format!("{beyond} of {all} blocks {way}{}", self.chance()),
            Proof::Events { came } => format!("it came in {came} of {all} blocks{}", self.chance()),
            Proof::Steps { beyond, against: None } => {
                format!("from first to last point {beyond} of {all} blocks {way}{}", self.chance())
            }
            Proof::Steps { against: Some((from, to)), .. } => {
                let (from, to) = (from + 1, to + 1);
                format!(
                    "but the step from point {from} to {to} goes the other way{}",
                    self.chance()
                )
            }
        }
    }

    fn counted(&self, inside: usize, outside: usize) -> String {
        let all = self.blocks;
        let n = digits(self.arrivals);
        match self.lean {
            Side::Holds => format!("so in {inside} of {all} blocks, by their counts (n = {n})"),
            Side::Fails => {
                format!("not so in {outside} of {all} blocks, by their counts (n = {n})")
            }
            Side::Undecided => {
                format!("so in {inside} and not so in {outside} of {all} blocks, by their counts")
            }
        }
    }

    fn chance(&self) -> String {
        let Some(p) = self.p else { return String::new() };
        let beside = self.adjusted.filter(|adjusted| (adjusted - p).abs() > 1e-12);
        let beside = beside.map(|p| format!(", beside all others {}", told(p)));
        format!(", p {}{}", told(p), beside.unwrap_or_default())
    }
}

/// A chance with its sign: two digits that count.
fn told(p: f64) -> String {
    match p {
        p if p < 0.0001 => "< 0.0001".to_owned(),
        p if p < 0.001 => format!("= {p:.5}"),
        p if p < 0.01 => format!("= {p:.4}"),
        p if p < 0.1 => format!("= {p:.3}"),
        p => format!("= {p:.2}"),
    }
}

fn what(expect: &Expect) -> String {
    let operation = expect.operation.as_ref().map(|operation| format!(" of {operation}"));
    format!("{}{}, {}", expect.measure.name, operation.unwrap_or_default(), expect.of)
}

fn margin(rule: &Rule, unit: &Unit) -> String {
    match rule {
        Rule::Within(Bounds { low, high }) => {
            let low = low.map(|low| format!("at least {}", unit.shown(low)));
            let high = high.map(|high| format!("at most {}", unit.shown(high)));
            low.into_iter().chain(high).collect::<Vec<_>>().join(" and ")
        }
        Rule::Trend(Change { direction, margin, is_factor }) => {
            let way = if *direction == Direction::Rises { "rises" } else { "falls" };
            let by =
                if *is_factor { format!("{} times", digits(*margin)) } else { unit.shown(*margin) };
            format!("that it {way} by {by} at least")
        }
    }
}

impl Unit {
    fn of(expect: &Expect) -> Self {
        let measure = expect.measure.clone();
        match (&expect.of, &expect.rule) {
            (Quantity::Ratio(..), _) | (_, Rule::Trend(Change { is_factor: true, .. })) => {
                Self::Times
            }
            (Quantity::Difference(..), _) | (_, Rule::Trend(_)) if measure.kind == Kind::Share => {
                Self::Points
            }
            _ => Self::Of(measure),
        }
    }

    fn shown(&self, value: f64) -> String {
        match self {
            Self::Of(measure) => measure.shown(value),
            Self::Times => format!("{} ×", digits(value)),
            Self::Points => format!("{} points", digits(value * 100.0)),
        }
    }
}

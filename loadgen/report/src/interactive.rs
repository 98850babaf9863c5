//! A chart as data, for the script in the page: panels over one axis, lines by name, what lies behind them.
//! It knows no kind of chart.

use serde::Serialize;

use super::compare::{Contestant, Scenario};
use super::exclusion;
use super::panels::{self, Axis, Band};
use super::scale::Scale;
use super::series::Series;

/// More points than that on a line are drawn as so many: a screen shows no more.
const POINTS: usize = 720;

/// One chart.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Interactive {
    x: Horizontal,
    y: Vertical,
    lines: Vec<Line>,
    panels: Vec<Panel>,
}

/// The horizontal axis.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Horizontal {
    /// Seconds since the start of the schedule.
    Seconds {
        /// Where the axis ends.
        end: f64,
        /// Where the statistics begin.
        warm_up: u32,
        /// Name, first second, second at which it ends.
        phases: Vec<(String, u32, u32)>,
        /// How many seconds one point stands for.
        step: u32,
    },
    /// Positions are log10 of 1/(1−p).
    Percentile {
        /// Where the axis ends.
        end: f64,
    },
}

/// The vertical axis, the same for all panels.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Vertical {
    name: &'static str,
    /// Whether values are milliseconds; else they are counts.
    is_time: bool,
    is_log: bool,
    lo: f64,
    hi: f64,
}

/// What one line of every panel is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// A colour of the style sheet, or `system`: the panel's.
    pub(crate) colour: String,
    #[serde(skip)]
    pub(crate) fold: Fold,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// Unbroken and thick.
    Solid,
    /// Unbroken and thin.
    Thin,
    /// Broken.
    Dashed,
    /// Filled down to the floor.
    Area,
    /// A bar that stands upon those of the lines before it.
    Stacked,
    /// A share from 0 to 1, as so much red on the floor.
    Strip,
    /// The area from here up to the first line, which may have been so much lower.
    Doubt,
}

/// What becomes of several values that have one point between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Their mean.
    Mean,
    /// The largest: of percentiles a mean would mean nothing.
    Largest,
}

/// One coordinate system.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Panel {
    pub(crate) name: String,
    /// The place of its system's colour in the palette, if it is one system's.
    pub(crate) colour: Option<u32>,
    /// How many trials it shows.
    pub(crate) note: String,
    /// Why it may not be believed; empty if it may.
    pub(crate) excluded: String,
    pub(crate) bands: Vec<Band>,
    pub(crate) x: Vec<f64>,
    /// By line: the median of the trials.
    pub(crate) y: Vec<Vec<Option<f64>>>,
    /// Of several trials each: the number of its line, its values.
    pub(crate) single: Vec<(usize, Vec<Option<f64>>)>,
}

impl Line {
    /// A line of this name, shape and colour.
    pub(crate) fn new(name: &str, shape: Shape, colour: &str, fold: Fold) -> Self {
        Self { name: name.to_owned(), shape, colour: colour.to_owned(), fold }
    }
}

impl Interactive {
    /// A chart of `lines` against time, a panel for each system; `of` gives the values of a line by its
    /// number, trial by trial.
    pub(crate) fn over_time(
        scenario: &Scenario<'_>,
        axis: &Axis,
        lines: Vec<Line>,
        of: impl Fn(&Contestant<'_>, usize) -> Vec<Series>,
    ) -> Self {
        let interval_s = scenario.manifest().interval_s.max(1);
        let intervals = (scenario.end_s() / f64::from(interval_s)).ceil() as usize;
        let step = interval_s * intervals.div_ceil(POINTS).max(1) as u32;
        let panel = |one| panel(scenario, one, step, &lines, |line| of(one, line));
        let phase = |phase: &record::Phase| (phase.name.clone(), phase.from_s, phase.to_s);
        let x = Horizontal::Seconds {
            end: scenario.end_s(),
            warm_up: scenario.manifest().warm_up_s,
            phases: scenario.phases().iter().map(phase).collect(),
            step,
        };
        let panels = scenario.contestants.iter().map(panel).collect();
        Self { x, y: Vertical::of(axis), lines, panels }
    }

    /// A chart of `lines` against percentiles.
    pub(crate) fn by_percentile(
        end: f64,
        axis: &Axis,
        lines: Vec<Line>,
        panels: Vec<Panel>,
    ) -> Self {
        Self { x: Horizontal::Percentile { end }, y: Vertical::of(axis), lines, panels }
    }
}

impl Vertical {
    fn of(axis: &Axis) -> Self {
        let (lo, hi, is_log) = match axis.scale {
            Scale::Linear { lo, hi } => (lo, hi, false),
            Scale::Log { lo, hi } => (lo, hi, true),
        };
        Self { name: axis.name, is_time: axis.is_time, is_log, lo, hi }
    }
}

fn panel(
    scenario: &Scenario<'_>,
    one: &Contestant<'_>,
    step: u32,
    lines: &[Line],
    of: impl Fn(usize) -> Vec<Series>,
) -> Panel {
    let points = (scenario.end_s() / f64::from(step)).ceil() as u32;
    let values = |series: &Series, fold| {
        (0..points).map(|n| series.folded(n * step, step, fold).map(brief)).collect::<Vec<_>>()
    };
    let (mut y, mut single) = (Vec::new(), Vec::new());
    for (number, line) in lines.iter().enumerate() {
        let trials = of(number);
        let together = if line.shape == Shape::Stacked {
            Series::mean(&trials)
        } else {
            Series::median(&trials)
        };
        y.push(values(&together, line.fold));
        if trials.len() > 1 && matches!(line.shape, Shape::Solid | Shape::Thin) {
            single.extend(trials.iter().map(|series| (number, values(series, line.fold))));
        }
    }
    Panel {
        name: one.name.to_owned(),
        colour: Some(one.order),
        note: format!("n = {}", one.number()),
        excluded: exclusion::of_all(one).unwrap_or_default(),
        bands: panels::bands(scenario, one),
        // A value stands at the middle of what it was measured over.
        x: (0..points).map(|n| f64::from(n * step) + f64::from(step) / 2.0).collect(),
        y,
        single,
    }
}

/// Three digits are more than a screen shows, and half the bytes.
pub(crate) fn brief(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(2 - value.abs().log10().floor() as i32);
    if scale < 1.0 { value.round() } else { (value * scale).round() / scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_long_as_a_screen_can_show() {
        let found = [0.0, 0.123_456, 23.456, 1_234.4, -7.654_3].map(brief);
        assert_eq!(found, [0.0, 0.123, 23.5, 1_234.0, -7.65]);
        assert!(brief(f64::INFINITY).is_infinite());
    }
}

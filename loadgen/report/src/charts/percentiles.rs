//! The whole distribution by phase: time against 1/(1−p), as HdrHistogram plots it.

use std::path::Path;

use crate::canvas::{Canvas, Hold, Pen, Point};
use crate::compare::{Contestant, Scenario};
use crate::figures::{Figures, Times};
use crate::palette;
use crate::plot::Plot;
use crate::scale::Scale;
use crate::sheet::{Area, Sample, Sheet};
use crate::words;
use record::read::Trial;

/// How to read it.
pub(super) const AID: &str = "Read up from a percentile: so many percent were at least this fast. \
Solid is the acknowledgement, dashed the final state; where one process does both they coincide. \
Only ok answers are in the solid lines, so hold them against the outcomes below. A line ends where \
the sample is too small to say more.";

const GAP: f64 = 46.0;
const HEADING: f64 = 40.0;
const AXES: (f64, f64) = (110.0, 62.0);
const STEP: f64 = 0.02;
/// Percentiles that carry a mark.
const MARKS: [(f64, &str); 7] = [
    (0.0, "0"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
    (0.99999, "99.999 %"),
];

/// Which times of a phase.
type Kind = fn(&Figures) -> &Times;

/// One line: a system's times in a phase, of the trials to draw.
struct Curve {
    phase: String,
    pen: Pen,
    trials: Vec<Vec<Point>>,
}

/// Draws `scenario` and returns the title.
pub(super) fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<String> {
    let what = if scenario.is_shop() { "accepted and completed" } else { "accepted" };
    let title = format!("{} {}: {what}", scenario.act(), scenario.circumstance());
    let curves: Vec<_> =
        scenario.contestants.iter().flat_map(|one| curves(scenario, one)).collect();
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "Time from the intended start by percentile, by phase of arrival; both axes \
                   logarithmic. A line ends at the last percentile p with 3.7/(1−p) orders or more."
            .to_owned(),
        legend: legend(scenario),
        source: source.to_owned(),
        height: 900,
    };
    sheet.save(path, |canvas, body| panels(canvas, body, scenario, &curves))?;
    Ok(title)
}

fn legend(scenario: &Scenario<'_>) -> Vec<(Sample, String)> {
    let mut legend: Vec<_> = scenario
        .contestants
        .iter()
        .map(|one| {
            let label = one.mark().map_or_else(
                || format!("{} (n = {})", one.name, one.number()),
                |mark| format!("{}: {mark}", one.name),
            );
            (Sample::Line(pen(one)), label)
        })
        .collect();
    let kinds = [
        (Pen::solid(palette::SOFT, 3.0), "accepted (ok answer)"),
        (Pen::dashed(palette::SOFT, 3.0), "completed (final)"),
    ];
    let shown = if scenario.is_shop() { &kinds[..] } else { &kinds[..1] };
    legend.extend(shown.iter().map(|(pen, label)| (Sample::Line(*pen), (*label).to_owned())));
    legend
}

/// A system that may not be believed is drawn thin and pale.
fn pen(contestant: &Contestant<'_>) -> Pen {
    let colour = palette::system(contestant.order);
    match contestant.mark() {
        Some(_) => Pen { dash: Some((2.0, 5.0)), ..Pen::solid(palette::tint(colour, 0.6), 1.5) },
        None => Pen::solid(colour, 3.0),
    }
}

fn curves(scenario: &Scenario<'_>, contestant: &Contestant<'_>) -> Vec<Curve> {
    let solid = pen(contestant);
    let dashed = Pen { dash: solid.dash.or(Pen::dashed(solid.colour, 1.0).dash), ..solid };
    let kinds: [(Pen, Kind); 2] =
        [(solid, |figures| &figures.accepted), (dashed, |figures| &figures.completed)];
    let one = |phase: &str, (pen, times): (Pen, Kind)| {
        let points = |trial: &Trial| Some(points(times(&Figures::named(trial, phase)?)));
        let trials = contestant.shown().into_iter().filter_map(points).collect();
        Curve { phase: phase.to_owned(), pen, trials }
    };
    let phases = scenario.phases().iter();
    phases.flat_map(|phase| kinds.map(|kind| one(&phase.name, kind))).collect()
}

/// Positions are log10 of 1/(1−p). A sample too small for its median has no line at all.
fn points(times: &Times) -> Vec<Point> {
    if times.quantile(0.5).is_none() {
        return Vec::new();
    }
    (0..)
        .map(|step| f64::from(step) * STEP)
        .take_while(|x| *x <= 7.0)
        .map_while(|x| Some((x, times.quantile(quantile(x))?.ms)))
        .take_while(|(_, ms)| ms.is_finite())
        .collect()
}

fn quantile(x: f64) -> f64 {
    1.0 - 10_f64.powf(-x)
}

fn position(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

fn panels(
    canvas: &Canvas<'_>,
    body: Area,
    scenario: &Scenario<'_>,
    curves: &[Curve],
) -> anyhow::Result<()> {
    let all = || curves.iter().flat_map(|curve| &curve.trials).flatten();
    let x = Scale::Linear { lo: 0.0, hi: all().map(|point| point.0).fold(1.3, f64::max) };
    let y = Scale::factors(all().map(|point| point.1));
    let phases = scenario.phases();
    let (left, bottom) = (body.left + AXES.0, body.bottom - AXES.1);
    let each = (body.right - left + GAP) / phases.len().max(1) as f64;
    for (index, phase) in phases.iter().enumerate() {
        let left = left + each * index as f64;
        let area = Area { left, top: body.top + HEADING, right: left + each - GAP, bottom };
        let plot = Plot { area, x, y };
        let heading = format!("{} ({} s)", phase.name, phase.to_s.saturating_sub(phase.from_s));
        canvas.heavy((left, body.top + 20.0), Hold::Left, 21.0, palette::INK, &heading)?;
        axes(canvas, &plot, index == 0)?;
        for curve in curves.iter().filter(|curve| curve.phase == phase.name) {
            draw_curve(canvas, &plot, curve)?;
        }
    }
    Ok(())
}

fn axes(canvas: &Canvas<'_>, plot: &Plot, is_first: bool) -> anyhow::Result<()> {
    let label = |ms| if is_first { words::millis(ms) } else { String::new() };
    plot.grid(canvas, label)?;
    let Scale::Linear { hi, .. } = plot.x else { return Ok(()) };
    let marks: Vec<_> = MARKS
        .iter()
        .map(|(quantile, label)| (position(*quantile), (*label).to_owned()))
        .filter(|(x, _)| *x <= hi + 1e-9)
        .collect();
    for (x, _) in &marks {
        let x = plot.at((*x, 1.0)).0;
        let line = [(x, plot.area.top), (x, plot.area.bottom)];
        canvas.line(&line, Pen::solid(palette::GRID, 1.0))?;
    }
    plot.floor(canvas, &marks)?;
    plot.name_axes(canvas, "percentile", if is_first { "time" } else { "" }, 98.0)
}

fn draw_curve(canvas: &Canvas<'_>, plot: &Plot, curve: &Curve) -> anyhow::Result<()> {
    if curve.trials.len() > 1 {
        for trial in &curve.trials {
            plot.line(canvas, trial, Pen { width: 1.0, ..curve.pen }.faint(0.35))?;
        }
    }
    plot.line(canvas, &median(&curve.trials), curve.pen)
}

/// At each percentile the median of the trials; it ends with the shortest line.
fn median(trials: &[Vec<Point>]) -> Vec<Point> {
    let shortest = trials.iter().map(Vec::len).min().unwrap_or(0);
    (0..shortest)
        .map(|index| {
            let mut values: Vec<_> = trials.iter().map(|trial| trial[index].1).collect();
            values.sort_by(f64::total_cmp);
            let middle = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
            (trials[0][index].0, middle)
        })
        .collect()
}

//! The whole distribution by phase: time against 1/(1−p), as HdrHistogram plots it.

use std::path::Path;

use super::{Kind, by_system, in_phase};
use crate::canvas::{Canvas, Hold, Pen, Point};
use crate::compare::{Contestant, Scenario};
use crate::exclusion;
use crate::figure_text::time_of;
use crate::figures::{Figures, Times};
use crate::interactive::{self, Fold, Interactive, Line, Panel, Shape};
use crate::palette;
use crate::panels::Axis;
use crate::plot::Plot;
use crate::scale::Scale;
use crate::sheet::{Area, Sample, Sheet};
use crate::words;
use record::read::Trial;

pub(super) const KIND: Kind =
    Kind { name: "percentiles", title, seen, aid: AID, draw, data: Some(data) };

const AID: &str = "Read up from a percentile: so many percent were at least this fast. \
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
type Which = fn(&Figures) -> &Times;

/// One line: a system's times in a phase, of the trials to draw.
struct Curve {
    phase: String,
    is_completed: bool,
    pen: Pen,
    trials: Vec<Vec<Point>>,
}

fn title(scenario: &Scenario<'_>) -> String {
    let what = if scenario.is_shop() { "accepted and completed" } else { "accepted" };
    format!("{} {}: {what}", scenario.act(), scenario.circumstance())
}

fn seen(scenario: &Scenario<'_>) -> String {
    let (phase, when) = in_phase(scenario);
    let told = by_system(scenario, |one| {
        let time = |which: Which, q: f64| time_of(one, phase, |figures| which(figures).quantile(q));
        let accepted = time(|figures| &figures.accepted, 0.99);
        match scenario.is_shop() {
            false => format!("p99 {accepted}"),
            true => {
                let completed = time(|figures| &figures.completed, 0.99);
                format!("p99 {accepted} until accepted, {completed} until completed")
            }
        }
    });
    when + &told
}

fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<()> {
    let curves = all_curves(scenario);
    let sheet = Sheet {
        title: title(scenario),
        subtitle: "Time from the intended start by percentile, by phase of arrival; both axes \
                   logarithmic. A line ends at the last percentile p with 3.7/(1−p) orders or more."
            .to_owned(),
        legend: legend(scenario),
        source: source.to_owned(),
        height: 900,
    };
    sheet.save(path, |canvas, body| panels(canvas, body, scenario, &curves))
}

fn all_curves(scenario: &Scenario<'_>) -> Vec<Curve> {
    scenario.contestants.iter().flat_map(|one| curves(scenario, one)).collect()
}

/// A panel for each phase, two lines for each system.
fn data(scenario: &Scenario<'_>) -> Interactive {
    let curves = all_curves(scenario);
    let kinds = if scenario.is_shop() { 2 } else { 1 };
    let lines = scenario.contestants.iter().flat_map(|one| {
        let (colour, solid, note) = match exclusion::of_all(one) {
            Some(_) => ("offered".to_owned(), Shape::Thin, " (excluded)"),
            None => (format!("s{}", palette::place(one.order)), Shape::Solid, ""),
        };
        let line = |what: &str, shape| {
            Line::new(&format!("{} {what}{note}", one.name), shape, &colour, Fold::Mean)
        };
        [line("accepted", solid), line("completed", Shape::Dashed)].into_iter().take(kinds)
    });
    let panel = |phase: &record::Phase| {
        let here = curves.iter().filter(|curve| curve.phase == phase.name);
        let here: Vec<_> = here.filter(|curve| !curve.is_completed || kinds == 2).collect();
        let longest = here.iter().flat_map(|curve| &curve.trials).map(Vec::len).max().unwrap_or(0);
        let values = |points: &[Point]| -> Vec<Option<f64>> {
            (0..longest).map(|n| points.get(n).map(|point| interactive::brief(point.1))).collect()
        };
        Panel {
            name: phase.name.clone(),
            colour: None,
            note: format!("{} to {} s", phase.from_s, phase.to_s),
            excluded: String::new(),
            bands: Vec::new(),
            x: (0..longest).map(|n| interactive::brief(n as f64 * STEP)).collect(),
            y: here.iter().map(|curve| values(&median(&curve.trials))).collect(),
            single: Vec::new(),
        }
    };
    let panels = scenario.phases().iter().map(panel).collect();
    let (x, y) = scales(&curves);
    let axis = Axis { scale: y, name: "time", label: words::millis, is_time: true };
    Interactive::by_percentile(x.end(), &axis, lines.collect(), panels)
}

fn scales(curves: &[Curve]) -> (Scale, Scale) {
    let all = || curves.iter().flat_map(|curve| &curve.trials).flatten();
    let x = Scale::Linear { lo: 0.0, hi: all().map(|point| point.0).fold(1.3, f64::max) };
    (x, Scale::factors(all().map(|point| point.1)))
}

fn legend(scenario: &Scenario<'_>) -> Vec<(Sample, String)> {
    let mut legend: Vec<_> = scenario
        .contestants
        .iter()
        .map(|one| {
            let label = exclusion::of_all(one).map_or_else(
                || format!("{} (n = {})", one.name, one.number()),
                |excluded| format!("{}: {excluded}", one.name),
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
    match exclusion::of_all(contestant) {
        Some(_) => Pen { dash: Some((2.0, 5.0)), ..Pen::solid(palette::tint(colour, 0.6), 1.5) },
        None => Pen::solid(colour, 3.0),
    }
}

fn curves(scenario: &Scenario<'_>, contestant: &Contestant<'_>) -> Vec<Curve> {
    let solid = pen(contestant);
    let dashed = Pen { dash: solid.dash.or(Pen::dashed(solid.colour, 1.0).dash), ..solid };
    let kinds: [(bool, Pen, Which); 2] =
        [(false, solid, |figures| &figures.accepted), (true, dashed, |figures| &figures.completed)];
    let one = |phase: &str, (is_completed, pen, times): (bool, Pen, Which)| {
        let points = |trial: &Trial| Some(points(times(&Figures::named(trial, phase)?)));
        let trials = contestant.shown().into_iter().filter_map(points).collect();
        Curve { phase: phase.to_owned(), is_completed, pen, trials }
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
    let (x, y) = scales(curves);
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

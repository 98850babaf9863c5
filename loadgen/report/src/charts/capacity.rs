//! Latency and goodput against the offered rate, with the knee of each system.

use std::path::Path;

use crate::canvas::{Canvas, Hold, Pen, Point};
use crate::palette;
use crate::plot::Plot;
use crate::scale::Scale;
use crate::sheet::{Area, Sample, Sheet};
use crate::words;
use audit::capacity::replay::{Capacity, Found};
use audit::capacity::search::Judged;
use audit::capacity::trial_at_rate::TrialAtRate;

/// How to read it.
pub(crate) const AID: &str = "Each point is one trial on a fresh system at a constant \
Poisson rate. The band is the knee: its left edge is the highest rate that was kept, its right edge \
the lowest that was broken. Hollow points broke the objective, crosses say nothing of the system. A \
point on the upper edge never completed. Lines join the medians of the valid trials. Above, what a \
customer waited; below, how much of the offered load was served in time: a system that keeps up \
stays on the grey line.";

const AXES: (f64, f64) = (118.0, 64.0);
const GAP: f64 = 84.0;
/// The upper panel's share of the height.
const UPPER: f64 = 0.56;
const LABEL_HEIGHT: f64 = 26.0;

/// One value of a step; `None` if it is not known.
type Value = fn(&TrialAtRate) -> Option<f64>;

/// Draws the search and returns the title.
pub(crate) fn draw(found: &Found, source: &str, path: &Path) -> anyhow::Result<String> {
    let settings = &found.settings;
    let title = format!("Latency and goodput against load: {}", settings.scenario);
    let sheet = Sheet {
        title: title.clone(),
        subtitle: format!(
            "{} s of each trial measured, after {} s of warm-up; kept: {} % completed within {} s, and no growing backlog.",
            settings.step_s,
            settings.warm_up_s,
            words::digits(settings.keeps.share * 100.0),
            words::digits(settings.objective_s)
        ),
        legend: legend(found),
        source: source.to_owned(),
        height: 1_250,
    };
    sheet.save(path, |canvas, body| panels(canvas, body, found))?;
    Ok(title)
}

fn legend(found: &Found) -> Vec<(Sample, String)> {
    let named = found.capacities.iter().zip(0..);
    let mut legend: Vec<_> = named
        .map(|(one, order)| (Sample::Block(palette::system(order)), one.system.clone()))
        .collect();
    let soft = palette::SOFT;
    legend.extend([
        (Sample::Line(Pen::solid(soft, 3.0)), "p99, goodput".to_owned()),
        (Sample::Line(Pen::dashed(soft, 2.0)), "p50".to_owned()),
        (Sample::Dot(soft), "kept".to_owned()),
        (Sample::Ring(soft), "broken (small and pale: unclear)".to_owned()),
        (Sample::Cross(palette::INVALID), "says nothing".to_owned()),
    ]);
    legend
}

fn panels(canvas: &Canvas<'_>, body: Area, found: &Found) -> anyhow::Result<()> {
    let rates = found.steps.iter().map(|step| f64::from(step.rate_per_s));
    let x = Scale::from_zero(rates.fold(0.0, f64::max));
    let left = body.left + AXES.0;
    let labels = LABEL_HEIGHT * found.capacities.len() as f64;
    let middle = body.top + labels + (body.height() - labels - GAP - AXES.1) * UPPER;
    let upper = Area { left, top: body.top + labels, bottom: middle, ..body };
    let lower = Area { left, top: middle + GAP, bottom: body.bottom - AXES.1, ..body };
    let objective_ms = found.settings.objective_s * 1e3;
    let times = found.steps.iter().flat_map(|s| [s.completed_p50_ms, s.completed_p99_ms]).flatten();
    let y = Scale::factors(times.filter(|ms| ms.is_finite()).chain([objective_ms]));
    let latency = Plot { area: upper, x, y };
    let most = found.steps.iter().map(|s| s.offered_per_s.max(s.goodput_per_s)).fold(0.0, f64::max);
    let goodput = Plot { area: lower, x, y: Scale::from_zero(most) };

    for (one, order) in found.capacities.iter().zip(0..) {
        knee(canvas, &latency, &goodput, one, order)?;
    }
    axes(canvas, &latency, "time until completed", words::millis)?;
    axes(canvas, &goodput, "orders per second in time", words::digits)?;
    let name = "offered rate, arrivals per second (all operations)";
    goodput.name_axes(canvas, name, "", 98.0)?;
    let Scale::Linear { hi, .. } = x else { return Ok(()) };
    latency.line(
        canvas,
        &[(0.0, objective_ms), (hi, objective_ms)],
        Pen::dashed(palette::INK, 1.5),
    )?;
    let (_, at) = latency.at((0.0, objective_ms));
    let text = format!("objective {}", words::millis(objective_ms));
    canvas.text((upper.right, at - 13.0), Hold::Right, 18.0, palette::INK, &text)?;
    let ideal = medians(&found.steps.iter().collect::<Vec<_>>(), |s| Some(s.offered_per_s));
    let from_origin: Vec<Point> = std::iter::once((0.0, 0.0)).chain(ideal).collect();
    goodput.line(canvas, &from_origin, Pen::solid(palette::OFFERED, 7.0))?;
    for (one, order) in found.capacities.iter().zip(0..) {
        let colour = palette::system(order);
        let steps: Vec<&TrialAtRate> =
            found.steps.iter().filter(|s| s.system == one.system).collect();
        series(canvas, &latency, &steps, |s| s.completed_p50_ms, Pen::dashed(colour, 2.0))?;
        series(canvas, &latency, &steps, |s| s.completed_p99_ms, Pen::solid(colour, 3.0))?;
        series(canvas, &goodput, &steps, |s| Some(s.goodput_per_s), Pen::solid(colour, 3.0))?;
    }
    Ok(())
}

fn axes(
    canvas: &Canvas<'_>,
    plot: &Plot,
    name: &str,
    label: impl Fn(f64) -> String,
) -> anyhow::Result<()> {
    plot.grid(canvas, label)?;
    let marks: Vec<_> = plot.x.marks(8).into_iter().map(|v| (v, words::digits(v))).collect();
    plot.floor(canvas, &marks)?;
    plot.name_axes(canvas, "", name, 98.0)
}

/// A band from the highest rate that is kept to the lowest that is not, with its numbers above.
fn knee(
    canvas: &Canvas<'_>,
    latency: &Plot,
    goodput: &Plot,
    one: &Capacity,
    order: u32,
) -> anyhow::Result<()> {
    let colour = palette::system(order);
    let y = latency.area.top - LABEL_HEIGHT * (f64::from(order) + 0.5);
    let low = one.answer.kept.map(|p| f64::from(p.rate_per_s));
    let high = one.answer.broken.map(|p| f64::from(p.rate_per_s));
    for plot in [latency, goodput] {
        // Without an end the band would claim more than is known: a line alone.
        if let (Some(low), Some(high), true) = (low, high, one.answer.is_known()) {
            plot.band(canvas, low, high, colour, 0.28)?;
        }
        if let Some(edge) = low.or(high) {
            let x = plot.at((edge, 0.0)).0;
            let line = [(x, plot.area.top), (x, plot.area.bottom)];
            canvas.line(&line, Pen::dashed(colour, 1.2).faint(0.7))?;
        }
    }
    let text = format!("{}: {}", one.system, one.text);
    let text = canvas.fit(18.0, latency.area.right - latency.area.left, &text)?;
    let wide = canvas.width(18.0, &text)?;
    let x = latency.at((low.or(high).unwrap_or(0.0), 0.0)).0;
    let x = x.min(latency.area.right - wide).max(latency.area.left);
    canvas.text((x, y), Hold::Left, 18.0, colour, &text)
}

/// The points of one system, and a line through the medians of its valid trials.
fn series(
    canvas: &Canvas<'_>,
    plot: &Plot,
    steps: &[&TrialAtRate],
    value: Value,
    pen: Pen,
) -> anyhow::Result<()> {
    plot.line(canvas, &medians(steps, value), pen)?;
    for step in steps {
        let Some(found) = value(step) else { continue };
        let at = plot.at((f64::from(step.rate_per_s), found));
        match step.judged {
            Judged::Kept => canvas.dot(at, pen.width + 2.0, pen.colour, 1.0)?,
            Judged::Broken => canvas.ring(at, pen.width + 2.5, pen.colour)?,
            Judged::Unclear => canvas.dot(at, pen.width + 0.5, pen.colour, 0.5)?,
            Judged::Invalid => canvas.cross(at, 5.0, palette::INVALID)?,
        }
    }
    Ok(())
}

/// By rate, the median of the valid trials that have the value.
fn medians(steps: &[&TrialAtRate], value: Value) -> Vec<Point> {
    let mut by_rate = std::collections::BTreeMap::<u32, Vec<f64>>::new();
    for step in steps.iter().filter(|s| s.judged != Judged::Invalid) {
        by_rate.entry(step.rate_per_s).or_default().extend(value(step));
    }
    let some = by_rate.into_iter().filter(|(_, values)| !values.is_empty());
    some.map(|(rate, mut values)| {
        values.sort_by(f64::total_cmp);
        let middle = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        (f64::from(rate), middle)
    })
    .collect()
}

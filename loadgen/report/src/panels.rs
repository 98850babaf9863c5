//! One panel per system over one time axis: warm-up, phases and faults lie behind the data.

use serde::Serialize;

use record::{FaultRow, Manifest, Phase};

use super::canvas::{Canvas, Hold, Pen};
use super::compare::{Contestant, Scenario};
use super::exclusion;
use super::palette;
use super::plot::Plot;
use super::scale::Scale;
use super::sheet::{Area, Sample, veil};
use super::words;

const STRIP_HEIGHT: f64 = 34.0;
const HEADING_HEIGHT: f64 = 38.0;
const AXIS_HEIGHT: f64 = 62.0;
const AXIS_WIDTH: f64 = 108.0;

/// The vertical axis that all panels share.
pub(super) struct Axis {
    /// Its range.
    pub(super) scale: Scale,
    /// What it measures.
    pub(super) name: &'static str,
    /// How its values are written.
    pub(super) label: fn(f64) -> String,
    /// Whether they are milliseconds; else they are counts.
    pub(super) is_time: bool,
}

/// The height of a sheet that has room for the panels of `scenario`, px.
pub(super) fn sheet_height(scenario: &Scenario<'_>) -> u32 {
    320 + 220 * scenario.contestants.len().max(2) as u32
}

/// What the shading means, for the legend.
pub(super) fn shading(scenario: &Scenario<'_>) -> Vec<(Sample, String)> {
    let mut legend = Vec::new();
    if !scenario.faults().is_empty() {
        let label = "shaded: fault active; paler: ordered, not yet seen".to_owned();
        legend.push((Sample::Block(palette::tint(palette::BAND, 0.6)), label));
    } else if scenario.phases().iter().any(|phase| phase.name == "during") {
        let label = "shaded: the phase “during”".to_owned();
        legend.push((Sample::Block(palette::tint(palette::BAND, 0.6)), label));
    }
    if scenario.manifest().warm_up_s > 0 {
        legend.push((Sample::Block(palette::WARM_UP), "grey: warm-up, in no figure".to_owned()));
    }
    legend
}

/// Draws the panels; `data` draws the lines of one system.
pub(super) fn draw(
    canvas: &Canvas<'_>,
    body: Area,
    scenario: &Scenario<'_>,
    axis: &Axis,
    data: impl Fn(&Plot, &Contestant<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let end_s = scenario.end_s();
    let x = Scale::Linear { lo: 0.0, hi: end_s };
    let inner = Area { left: body.left + AXIS_WIDTH, bottom: body.bottom - AXIS_HEIGHT, ..body };
    strip(canvas, Area { bottom: inner.top + STRIP_HEIGHT, ..inner }, x, scenario.manifest())?;
    let first = inner.top + STRIP_HEIGHT;
    let each = (inner.bottom - first) / scenario.contestants.len() as f64;
    let mut last = None;
    for (index, contestant) in scenario.contestants.iter().enumerate() {
        let top = first + each * index as f64;
        heading(canvas, Area { top, bottom: top + HEADING_HEIGHT, ..inner }, contestant)?;
        let area = Area { top: top + HEADING_HEIGHT, bottom: top + each, ..inner };
        let plot = Plot { area, x, y: axis.scale };
        panel(canvas, &plot, scenario, contestant, axis, &data)?;
        last = Some(plot);
    }
    last.map_or(Ok(()), |plot| {
        plot.name_axes(canvas, "seconds since the start of the schedule", "", AXIS_WIDTH - 12.0)
    })?;
    let middle = f64::midpoint(first, inner.bottom);
    canvas.upwards((body.left + 8.0, middle), 18.0, palette::SOFT, axis.name)
}

fn panel(
    canvas: &Canvas<'_>,
    plot: &Plot,
    scenario: &Scenario<'_>,
    contestant: &Contestant<'_>,
    axis: &Axis,
    data: &impl Fn(&Plot, &Contestant<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    plot.band(canvas, 0.0, f64::from(scenario.manifest().warm_up_s), palette::WARM_UP, 1.0)?;
    for band in bands(scenario, contestant) {
        shade(canvas, plot, &band)?;
    }
    plot.grid(canvas, axis.label)?;
    data(plot, contestant)?;
    if contestant.trusted().is_empty() {
        veil(canvas, plot.area)?;
    }
    let is_last = scenario.contestants.last().is_some_and(|last| last.name == contestant.name);
    let label = |at: f64| if is_last { words::digits(at) } else { String::new() };
    let marks: Vec<_> = plot.x.marks(12).into_iter().map(|at| (at, label(at))).collect();
    plot.floor(canvas, &marks)
}

/// A stretch to shade, s: from the order, or from the phase's beginning, to the healing that was seen.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Band {
    from: f64,
    /// When the effect was seen; `None` if it was not. Without a fault the beginning.
    effective: Option<f64>,
    to: f64,
    is_fault: bool,
    /// What happens in it: "the payments role is dead for 15 s".
    what: String,
}

fn shade(canvas: &Canvas<'_>, plot: &Plot, band: &Band) -> anyhow::Result<()> {
    let effective = band.effective.unwrap_or(band.to);
    plot.band(canvas, band.from, effective, palette::BAND, 0.22)?;
    plot.band(canvas, effective, band.to, palette::BAND, 0.5)?;
    let Some(at) = band.effective.filter(|_| band.is_fault) else { return Ok(()) };
    let x = plot.at((at, 0.0)).0;
    let edge = [(x, plot.area.top), (x, plot.area.bottom)];
    canvas.line(&edge, Pen::solid(palette::ONSET, 1.5))
}

/// Where to shade: the faults as this system felt them, else the phase named `during`. Bands of several
/// trials would lie on each other and darken: the first that has any stands for all.
pub(super) fn bands(scenario: &Scenario<'_>, contestant: &Contestant<'_>) -> Vec<Band> {
    if !scenario.faults().is_empty() {
        let first = contestant.shown().into_iter().find(|trial| !trial.faults.is_empty());
        let band = |fault: &FaultRow| Band {
            from: fault.commanded_s,
            effective: fault.effective_s,
            to: fault.healed_s.unwrap_or_else(|| scenario.end_s()),
            is_fault: true,
            what: words::harm(fault),
        };
        return first.map(|trial| trial.faults.iter().map(band).collect()).unwrap_or_default();
    }
    let phases = scenario.phases().iter().filter(|phase| phase.name == "during");
    let band = |phase: &Phase| Band {
        from: f64::from(phase.from_s),
        effective: Some(f64::from(phase.from_s)),
        to: f64::from(phase.to_s),
        is_fault: false,
        what: "the phase “during”".to_owned(),
    };
    phases.map(band).collect()
}

/// The schedule's parts, named above the first panel.
fn strip(canvas: &Canvas<'_>, area: Area, x: Scale, manifest: &Manifest) -> anyhow::Result<()> {
    let at = |value: f64| area.left + (area.right - area.left) * x.share(value);
    let mut parts = vec![("warm-up", 0, manifest.warm_up_s)];
    parts.extend(
        manifest.phases.iter().map(|phase| (phase.name.as_str(), phase.from_s, phase.to_s)),
    );
    let schedule_end = manifest.duration_s;
    if f64::from(schedule_end) < x.marks(12).last().copied().unwrap_or_default() {
        parts.push(("drain", schedule_end, u32::MAX));
    }
    let y = area.top + 12.0;
    for (name, from, to) in parts {
        let (left, right) = (at(f64::from(from)) + 2.0, at(f64::from(to)) - 2.0);
        if right - left < 10.0 {
            continue;
        }
        canvas.line(&[(left, y + 13.0), (right, y + 13.0)], Pen::solid(palette::SOFT, 2.0))?;
        if canvas.width(18.0, name)? < right - left {
            let centre = (f64::midpoint(left, right), y);
            canvas.text(centre, Hold::Centre, 18.0, palette::SOFT, name)?;
        }
    }
    Ok(())
}

/// The system's name, of how many trials it is, and in one line why any is left out.
fn heading(canvas: &Canvas<'_>, area: Area, contestant: &Contestant<'_>) -> anyhow::Result<()> {
    const SIZE: f64 = 21.0;
    let y = area.bottom - 14.0;
    let colour = palette::system(contestant.order);
    let name = canvas.fit(SIZE, (area.right - area.left) / 2.0, contestant.name)?;
    canvas.heavy((area.left, y), Hold::Left, SIZE, colour, &name)?;
    let x = area.left + canvas.width(SIZE, &name)? + 18.0;
    let why = exclusion::of_some(contestant);
    let colour = if why.is_some() { palette::INVALID } else { palette::SOFT };
    let text = [Some(format!("n = {}", contestant.number())), why];
    let text = text.into_iter().flatten().collect::<Vec<_>>().join(". ");
    let text = canvas.fit(17.0, area.right - x, &text)?;
    canvas.text((x, y + 1.0), Hold::Left, 17.0, colour, &text)
}

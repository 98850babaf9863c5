//! What a completed order costs in CPU, for every scenario of the run.

use std::path::Path;

use crate::canvas::{Canvas, Hold};
use crate::compare::{Comparison, Contestant, Scenario, Spread, doubt, trusted};
use crate::palette;
use crate::plot::Plot;
use crate::scale::Scale;
use crate::sheet::{Area, Sample, Sheet};
use crate::words;
use record::read::Trial;

/// How to read it.
pub(super) const AID: &str = "CPU of all processes of the system, all operations included and the \
card network left out, divided by the orders that reached a final state. The bar is the median of \
the trials that may be believed, each point one trial, a cross one that may not. A fault makes an \
order dearer where work is repeated or refused, and where few orders complete.";

const AXES: (f64, f64) = (108.0, 62.0);

/// Draws all of `comparison` and returns the title.
pub(super) fn draw(
    comparison: &Comparison<'_>,
    source: &str,
    path: &Path,
) -> anyhow::Result<String> {
    let title = "CPU time of the system per completed order".to_owned();
    let systems = comparison.systems();
    let mut legend: Vec<_> = systems
        .iter()
        .map(|(order, name)| (Sample::Block(palette::system(*order)), (*name).to_owned()))
        .collect();
    legend.push((Sample::Dot(palette::INK), "one trial".to_owned()));
    let sheet = Sheet {
        title: title.clone(),
        subtitle:
            "Bar: median of the trials. Cross: a trial that may not be believed, in no median."
                .to_owned(),
        legend,
        source: source.to_owned(),
        height: 900,
    };
    sheet.save(path, |canvas, body| groups(canvas, body, comparison))?;
    Ok(title)
}

/// Whether any trial watched what its system spent.
pub(super) fn is_known(comparison: &Comparison<'_>) -> bool {
    let contestants = comparison.scenarios.iter().flat_map(|scenario| &scenario.contestants);
    contestants.flat_map(|one| &one.trials).any(|trial| cost(trial).is_some())
}

fn cost(trial: &Trial) -> Option<f64> {
    trial.manifest.cost.cpu_ms_per_completed_order
}

fn groups(canvas: &Canvas<'_>, body: Area, comparison: &Comparison<'_>) -> anyhow::Result<()> {
    let contestants = comparison.scenarios.iter().flat_map(|scenario| &scenario.contestants);
    let costs = contestants.flat_map(|one| &one.trials).filter_map(|trial| cost(trial));
    let area = Area { left: body.left + AXES.0, bottom: body.bottom - AXES.1 + 26.0, ..body };
    let plot = Plot {
        area: Area { top: area.top + 24.0, ..area },
        x: Scale::Linear { lo: 0.0, hi: comparison.scenarios.len() as f64 },
        y: Scale::from_zero(costs.fold(0.0, f64::max) * 1.06),
    };
    plot.grid(canvas, words::millis)?;
    plot.floor(canvas, &[])?;
    plot.name_axes(canvas, "", "CPU time per completed order", 98.0)?;
    for (index, scenario) in comparison.scenarios.iter().enumerate() {
        group(canvas, &plot, scenario, index as f64)?;
    }
    Ok(())
}

fn group(
    canvas: &Canvas<'_>,
    plot: &Plot,
    scenario: &Scenario<'_>,
    from: f64,
) -> anyhow::Result<()> {
    let each = 0.8 / scenario.contestants.len() as f64;
    let (x, _) = plot.at((from + 0.5, 0.0));
    let at = (x, plot.area.bottom + 24.0);
    canvas.heavy(at, Hold::Centre, 20.0, palette::INK, scenario.name)?;
    for (index, contestant) in scenario.contestants.iter().enumerate() {
        let left = from + 0.1 + each * index as f64;
        bar(canvas, plot, contestant, (left + each * 0.08, left + each * 0.92))?;
    }
    Ok(())
}

fn bar(
    canvas: &Canvas<'_>,
    plot: &Plot,
    contestant: &Contestant<'_>,
    (left, right): (f64, f64),
) -> anyhow::Result<()> {
    let colour = palette::system(contestant.order);
    let spread = contestant.spread(cost);
    let mut top = plot.area.bottom;
    if let Some(spread) = spread {
        let corners = [plot.at((left, spread.median)), plot.at((right, 0.0))];
        canvas.block(corners[0], corners[1], colour, 1.0)?;
        top = plot.at((left, spread.hi.max(spread.median))).1;
    }
    for (index, trial) in contestant.trials.iter().enumerate() {
        let share = (index + 1) as f64 / (contestant.trials.len() + 1) as f64;
        let Some(value) = cost(trial) else { continue };
        let at = plot.at((left + (right - left) * share, value));
        if trusted(trial) {
            canvas.dot(at, 7.0, palette::PAPER, 1.0)?;
            canvas.dot(at, 5.0, palette::INK, 1.0)?;
        } else {
            canvas.cross(at, 7.0, palette::INVALID)?;
            top = top.min(at.1);
        }
    }
    let x = plot.at((f64::midpoint(left, right), 0.0)).0;
    caption(canvas, contestant, spread, (x, top))
}

fn caption(
    canvas: &Canvas<'_>,
    contestant: &Contestant<'_>,
    spread: Option<Spread>,
    (x, top): (f64, f64),
) -> anyhow::Result<()> {
    if let Some(Spread { median, n, .. }) = spread {
        let all = contestant.trusted().len();
        let n = if n < all { format!("{n} of {all}") } else { n.to_string() };
        let text = format!("{} (n = {n})", words::millis(median));
        return canvas.text((x, top - 22.0), Hold::Centre, 18.0, palette::INK, &text);
    }
    let reason =
        contestant.trials.first().filter(|trial| !trusted(trial)).map(|trial| doubt(trial));
    let text = reason.unwrap_or_else(|| "no completed order".to_owned());
    for (line, text) in canvas.wrap(18.0, 190.0, &text)?.iter().rev().enumerate() {
        let at = (x, top - 24.0 - 22.0 * line as f64);
        canvas.text(at, Hold::Centre, 18.0, palette::INVALID, text)?;
    }
    Ok(())
}

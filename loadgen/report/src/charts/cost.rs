//! What a completed order costs in CPU, for every scenario of the run.

use std::path::PathBuf;

use super::{Chart, by_system};
use crate::canvas::{Canvas, Hold};
use crate::compare::{Comparison, Contestant, Scenario, trusted};
use crate::exclusion;
use crate::figure_text::cpu;
use crate::palette;
use crate::plot::Plot;
use crate::scale::Scale;
use crate::sheet::{Area, Sample, Sheet};
use crate::words;
use record::read::Trial;

const AID: &str = "CPU of all processes of the system, all operations included and the \
card network left out, divided by the orders that reached a final state. The bar is the median of \
the trials, each point one trial, a cross one that is excluded. A fault makes an \
order dearer where work is repeated or refused, and where few orders complete.";

const NAME_WIDTH: f64 = 290.0;
const TEXT_WIDTH: f64 = 430.0;
const TEXT_SIZE: f64 = 18.0;
const BAR_HEIGHT: f64 = 30.0;
const ROW_HEIGHT: f64 = 46.0;
const HEADING_HEIGHT: f64 = 50.0;
const AXIS_HEIGHT: f64 = 40.0;

/// Draws all of `comparison`.
pub(super) fn draw(
    comparison: &Comparison<'_>,
    source: &str,
    path: PathBuf,
) -> anyhow::Result<Chart> {
    let title = "CPU time of the system per completed order".to_owned();
    let blocks = comparison.scenarios.iter().map(block_height).sum::<f64>();
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "By scenario and system, all operations of the trial included.".to_owned(),
        legend: vec![
            (Sample::Block(palette::SOFT), "median of the trials".to_owned()),
            (Sample::Dot(palette::INK), "one trial".to_owned()),
            (Sample::Cross(palette::INVALID), "an excluded trial, in no median".to_owned()),
        ],
        source: source.to_owned(),
        height: (200.0 + blocks + AXIS_HEIGHT).max(480.0) as u32,
    };
    sheet.save(&path, |canvas, body| blocks_of(canvas, body, comparison))?;
    Ok(Chart { path, scenario: None, title, seen: seen(comparison), aid: AID, data: None })
}

/// Whether any trial watched what its system spent.
pub(super) fn is_known(comparison: &Comparison<'_>) -> bool {
    let contestants = comparison.scenarios.iter().flat_map(|scenario| &scenario.contestants);
    contestants.flat_map(|one| &one.trials).any(|trial| cost(trial).is_some())
}

fn cost(trial: &Trial) -> Option<f64> {
    trial.manifest.cost.cpu_ms_per_completed_order
}

fn seen(comparison: &Comparison<'_>) -> String {
    let told = comparison.scenarios.iter();
    let told = told.map(|scenario| format!("{}: {}", scenario.name, by_system(scenario, cpu)));
    told.collect::<Vec<_>>().join(" ")
}

fn block_height(scenario: &Scenario<'_>) -> f64 {
    HEADING_HEIGHT + ROW_HEIGHT * scenario.contestants.len() as f64
}

fn blocks_of(canvas: &Canvas<'_>, body: Area, comparison: &Comparison<'_>) -> anyhow::Result<()> {
    let contestants = comparison.scenarios.iter().flat_map(|scenario| &scenario.contestants);
    let costs = contestants.flat_map(|one| &one.trials).filter_map(|trial| cost(trial));
    let area = Area {
        left: body.left + NAME_WIDTH,
        right: body.right - TEXT_WIDTH,
        bottom: body.bottom - AXIS_HEIGHT,
        ..body
    };
    let x = Scale::from_zero(costs.fold(0.0, f64::max));
    let plot = Plot { area, x, y: Scale::Linear { lo: 0.0, hi: 1.0 } };
    let marks: Vec<_> = x.marks(4).into_iter().map(|at| (at, words::millis(at))).collect();
    plot.floor(canvas, &marks)?;
    let mut top = body.top;
    for scenario in &comparison.scenarios {
        let at = (body.left, top + HEADING_HEIGHT / 2.0);
        let name = canvas.fit(20.0, body.right - body.left, scenario.name)?;
        canvas.heavy(at, Hold::Left, 20.0, palette::INK, &name)?;
        for (index, contestant) in scenario.contestants.iter().enumerate() {
            let top = top + HEADING_HEIGHT + ROW_HEIGHT * index as f64;
            let row = Area { top, bottom: top + BAR_HEIGHT, ..body };
            bar(canvas, &plot, row, contestant)?;
        }
        top += block_height(scenario);
    }
    Ok(())
}

fn bar(
    canvas: &Canvas<'_>,
    plot: &Plot,
    row: Area,
    contestant: &Contestant<'_>,
) -> anyhow::Result<()> {
    let y = f64::midpoint(row.top, row.bottom);
    let colour = palette::system(contestant.order);
    let name = canvas.fit(20.0, NAME_WIDTH - 16.0, contestant.name)?;
    canvas.heavy((row.left, y), Hold::Left, 20.0, colour, &name)?;
    let at = |value: f64| plot.at((value, 0.0)).0;
    if let Some(spread) = contestant.spread(cost) {
        let from = (at(0.0), row.top);
        canvas.block(from, (at(spread.median), row.bottom), colour, 0.75)?;
    }
    for trial in &contestant.trials {
        let Some(value) = cost(trial) else { continue };
        if trusted(trial) {
            canvas.dot((at(value), y), 7.0, palette::PAPER, 1.0)?;
            canvas.dot((at(value), y), 5.0, palette::INK, 1.0)?;
        } else {
            canvas.cross((at(value), y), 7.0, palette::INVALID)?;
        }
    }
    let (text, ink) = match exclusion::of_all(contestant) {
        Some(excluded) => (excluded, palette::INVALID),
        None => (format!("{} (n = {})", cpu(contestant), contestant.number()), palette::INK),
    };
    let text = canvas.fit(TEXT_SIZE, TEXT_WIDTH - 24.0, &text)?;
    canvas.text((plot.area.right + 24.0, y), Hold::Left, TEXT_SIZE, ink, &text)
}

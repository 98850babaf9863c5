//! What was asked and what was done, per second.

use std::path::Path;

use crate::canvas::{Canvas, Hold, Pen};
use crate::compare::{Contestant, Scenario};
use crate::palette;
use crate::panels::{self, Axis};
use crate::plot::Plot;
use crate::scale::Scale;
use crate::series::Series;
use crate::sheet::{Sample, Sheet};
use crate::words;
use record::TimelineRow;
use record::read::Trial;

use super::response::trials_and_median;

/// How to read it.
pub(super) const AID: &str = "The grey ground is what was asked for. Accepted orders (201 or 202) \
and completed ones (paid or declined) are counted at the instant they happened; a completed line \
above the ground is work that was put off and is being caught up with, also for customers who got no \
answer (unknown). Failed and unknown ones are \
counted at their intended start and are in no throughput.";

/// Draws `scenario` and returns the title.
pub(super) fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<String> {
    let title = format!("{} {}", title_head(scenario), scenario.circumstance());
    let mut legend = vec![
        (Sample::Block(palette::OFFERED), "offered".to_owned()),
        (Sample::Line(Pen::solid(palette::SOFT, 3.0)), "accepted".to_owned()),
        (Sample::Line(trouble()), "failed or unknown".to_owned()),
    ];
    if scenario.is_shop() {
        let pen = Pen::dashed(palette::INK, 2.4);
        legend.insert(2, (Sample::Line(pen), "completed".to_owned()));
    }
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(scenario).to_owned(),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    let axis = Axis { scale: scale(scenario), name: "per second", label: words::digits };
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis, |plot, one| lines(canvas, plot, scenario, one))
    })?;
    Ok(title)
}

fn title_head(scenario: &Scenario<'_>) -> &'static str {
    if scenario.is_shop() {
        "Offered, accepted and completed orders"
    } else {
        "Offered and accepted requests"
    }
}

fn subtitle(scenario: &Scenario<'_>) -> &'static str {
    if scenario.is_shop() {
        "Accepted: acknowledged with 201 or 202. Completed: paid or declined."
    } else {
        "Accepted: answered as asked."
    }
}

fn trouble() -> Pen {
    Pen::solid(palette::INVALID, 1.8)
}

/// A burst of catching up may exceed this many times all else; then it is cut off and labelled.
const BURST: f64 = 4.0;

fn scale(scenario: &Scenario<'_>) -> Scale {
    let trials: Vec<_> = scenario.contestants.iter().flat_map(Contestant::shown).collect();
    let largest = |kinds: &[Kind]| {
        let all = trials.iter().flat_map(|trial| kinds.iter().map(|kind| series(trial, *kind)));
        all.map(|series| series.max()).fold(0.0, f64::max)
    };
    let usual = largest(&[OFFERED, ACCEPTED, TROUBLE]);
    Scale::from_zero(largest(&[COMPLETED]).clamp(usual, usual * BURST))
}

type Kind = fn(&TimelineRow) -> u64;

const OFFERED: Kind = |row| row.offered;
const ACCEPTED: Kind = |row| row.answered;
const COMPLETED: Kind = |row| row.completed;
const TROUBLE: Kind = |row| row.failed + row.unknown;

fn series(trial: &Trial, kind: Kind) -> Series {
    Series::of(trial, |row| Some(kind(row) as f64)).per_second()
}

fn lines(
    canvas: &Canvas<'_>,
    plot: &Plot,
    scenario: &Scenario<'_>,
    contestant: &Contestant<'_>,
) -> anyhow::Result<()> {
    let colour = palette::system(contestant.order);
    let of = |kind| -> Vec<_> {
        contestant.shown().into_iter().map(|trial| series(trial, kind)).collect()
    };
    for part in Series::median(&of(OFFERED)).parts() {
        plot.under(canvas, &part, palette::OFFERED, 0.9)?;
    }
    let troubles = of(TROUBLE);
    if troubles.iter().flat_map(Series::values).any(|value| value > 0.0) {
        trials_and_median(canvas, plot, &troubles, trouble())?;
    }
    trials_and_median(canvas, plot, &of(ACCEPTED), Pen::solid(colour, 3.0))?;
    if scenario.is_shop() {
        let completed = of(COMPLETED);
        trials_and_median(canvas, plot, &completed, Pen::dashed(palette::INK, 2.0))?;
        burst(canvas, plot, &Series::median(&completed))?;
    }
    Ok(())
}

/// Says how high a line goes that the axis cuts off.
fn burst(canvas: &Canvas<'_>, plot: &Plot, completed: &Series) -> anyhow::Result<()> {
    let Scale::Linear { hi, .. } = plot.y else { return Ok(()) };
    let highest = completed.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((at_s, value)) = highest.filter(|(_, value)| *value > hi) else { return Ok(()) };
    let (x, y) = plot.at((f64::from(at_s + completed.interval_s()), hi));
    let text = format!("up to {} completed", words::count(value.round() as u64));
    canvas.text((x + 10.0, y + 14.0), Hold::Left, 17.0, palette::INK, &text)
}

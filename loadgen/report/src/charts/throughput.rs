//! What was asked and what was done, per second.

use std::path::Path;

use super::response::trials_and_median;
use super::{Kind, by_system};
use crate::canvas::{Canvas, Hold, Pen};
use crate::compare::{Contestant, Scenario};
use crate::interactive::{Fold, Interactive, Line, Shape};
use crate::palette;
use crate::panels::{self, Axis};
use crate::plot::Plot;
use crate::scale::Scale;
use crate::series::Series;
use crate::sheet::{Sample, Sheet};
use crate::words;
use record::TimelineRow;
use record::read::Trial;

pub(super) const KIND: Kind =
    Kind { name: "throughput", title, seen, aid: AID, draw, data: Some(data) };

const AID: &str = "The grey ground is what was asked for. Accepted orders (201 or 202) \
and completed ones (paid or declined) are counted at the instant they happened; a completed line \
above the ground is work that was put off and is being caught up with, also for customers who got no \
answer (unknown). Failed and unknown ones are \
counted at their intended start and are in no throughput.";

fn title(scenario: &Scenario<'_>) -> String {
    format!("{} {}", title_head(scenario), scenario.circumstance())
}

fn seen(scenario: &Scenario<'_>) -> String {
    by_system(scenario, |one| {
        let most = |kind| {
            let largest = series_of(one, kind).iter().map(Series::max).fold(0.0, f64::max);
            words::count(largest.round() as u64)
        };
        let accepted = format!("at most {} accepted per second", most(ACCEPTED));
        match scenario.is_shop() {
            true => format!("{accepted}, {} completed", most(COMPLETED)),
            false => accepted,
        }
    })
}

fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<()> {
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
        title: title(scenario),
        subtitle: subtitle(scenario).to_owned(),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    let axis = axis(scenario);
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis, |plot, one| lines(canvas, plot, scenario, one))
    })
}

fn data(scenario: &Scenario<'_>) -> Interactive {
    let mut lines = vec![
        Line::new("offered", Shape::Area, "offered", Fold::Mean),
        Line::new("failed or unknown", Shape::Thin, "bad", Fold::Mean),
        Line::new("accepted", Shape::Solid, "system", Fold::Mean),
    ];
    if scenario.is_shop() {
        lines.push(Line::new("completed", Shape::Dashed, "ink", Fold::Mean));
    }
    let kinds = [OFFERED, TROUBLE, ACCEPTED, COMPLETED];
    Interactive::over_time(scenario, &axis(scenario), lines, |one, line| {
        series_of(one, kinds[line])
    })
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

fn axis(scenario: &Scenario<'_>) -> Axis {
    let trials: Vec<_> = scenario.contestants.iter().flat_map(Contestant::shown).collect();
    let largest = |kinds: &[Count]| {
        let all = trials.iter().flat_map(|trial| kinds.iter().map(|kind| series(trial, *kind)));
        all.map(|series| series.max()).fold(0.0, f64::max)
    };
    let usual = largest(&[OFFERED, ACCEPTED, TROUBLE]);
    let scale = Scale::from_zero(largest(&[COMPLETED]).clamp(usual, usual * BURST));
    Axis { scale, name: "per second", label: words::digits, is_time: false }
}

type Count = fn(&TimelineRow) -> u64;

const OFFERED: Count = |row| row.offered;
const ACCEPTED: Count = |row| row.answered;
const COMPLETED: Count = |row| row.completed;
const TROUBLE: Count = |row| row.failed + row.unknown;

fn series(trial: &Trial, kind: Count) -> Series {
    Series::of(trial, |row| Some(kind(row) as f64)).per_second()
}

fn series_of(one: &Contestant<'_>, kind: Count) -> Vec<Series> {
    one.shown().into_iter().map(|trial| series(trial, kind)).collect()
}

fn lines(
    canvas: &Canvas<'_>,
    plot: &Plot,
    scenario: &Scenario<'_>,
    contestant: &Contestant<'_>,
) -> anyhow::Result<()> {
    let colour = palette::system(contestant.order);
    let of = |kind| series_of(contestant, kind);
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
    let is_late = x + 10.0 + canvas.width(17.0, &text)? > plot.area.right;
    let (x, hold) = if is_late { (x - 24.0, Hold::Right) } else { (x + 10.0, Hold::Left) };
    canvas.text((x, y + 14.0), hold, 17.0, palette::INK, &text)
}

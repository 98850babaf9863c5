//! What became of the orders that arrived in each second.

use std::path::Path;

use super::{Kind, by_system, in_phase, rates};
use crate::canvas::{Canvas, Pen};
use crate::compare::{Contestant, Scenario};
use crate::figure_text::share;
use crate::figures::Figures;
use crate::interactive::{Fold, Interactive, Line, Shape};
use crate::palette;
use crate::panels::{self, Axis};
use crate::plot::Plot;
use crate::scale::Scale;
use crate::series::Series;
use crate::sheet::{Sample, Sheet};
use crate::words;
use record::read::Trial;
use record::{Outcome, TimelineRow};

pub(super) const KIND: Kind =
    Kind { name: "arrivals", title, seen, aid: AID, draw, data: Some(data) };

const AID: &str = "Each bar is one second of arrivals, by the instant at which they were meant to start; \
its whole height is what was asked for. Ok: accepted. Failed: certainly without effect. Unknown: an error or \
no answer, so it may have had an effect. An order counts once, from its first intent, however often its \
customer asked. The line, where the record tells it, is how many of them were paid or declined within the \
objective.";

fn title(scenario: &Scenario<'_>) -> String {
    let things = scenario.things();
    format!("What became of each second's {things} {}", scenario.circumstance())
}

fn seen(scenario: &Scenario<'_>) -> String {
    let (phase, when) = in_phase(scenario);
    let told = by_system(scenario, |one| {
        let accepted = share(one, phase, Figures::ok_share);
        match scenario.is_shop() {
            false => format!("{accepted} answered as asked"),
            true => format!(
                "{accepted} accepted, {} completed in time",
                share(one, phase, Figures::in_time_share)
            ),
        }
    });
    when + &told
}

fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<()> {
    let mut legend: Vec<_> =
        palette::OUTCOMES.map(|(name, colour)| (Sample::Block(colour), name.to_string())).into();
    if knows_in_time(scenario) {
        legend.push((Sample::Line(in_time()), "completed in time".to_owned()));
    }
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title(scenario),
        subtitle: format!("Per second of the intended start, {} alone.", scenario.things()),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis(scenario), |plot, one| bars(canvas, plot, one))
    })
}

fn data(scenario: &Scenario<'_>) -> Interactive {
    let outcome = |(outcome, _): (Outcome, _)| {
        let name = outcome.as_str();
        Line::new(name, Shape::Stacked, name, Fold::Mean)
    };
    let mut lines: Vec<_> = palette::OUTCOMES.map(outcome).into();
    if knows_in_time(scenario) {
        lines.push(Line::new("completed in time", Shape::Dashed, "ink", Fold::Mean));
    }
    Interactive::over_time(scenario, &axis(scenario), lines, |one, line| {
        match rates::COUNTS.get(line) {
            Some(count) => of_each(one, |row| Some(count(row))),
            None => of_each(one, in_time_of),
        }
    })
}

fn axis(scenario: &Scenario<'_>) -> Axis {
    let offered = scenario.contestants.iter().flat_map(|one| of_each(one, |row| Some(row.offered)));
    let largest = offered.map(|series| series.max()).fold(0.0, f64::max);
    let scale = Scale::from_zero(largest.max(5.0));
    Axis { scale, name: "per second", label: words::digits, is_time: false }
}

fn of_each(one: &Contestant<'_>, count: impl Fn(&TimelineRow) -> Option<u64>) -> Vec<Series> {
    let series = |trial: &Trial| Series::of(trial, |row| count(row).map(|n| n as f64)).per_second();
    one.shown().into_iter().map(series).collect()
}

/// Older records do not tell it second by second.
fn knows_in_time(scenario: &Scenario<'_>) -> bool {
    let trials = scenario.contestants.iter().flat_map(Contestant::shown);
    trials.flat_map(|trial| &trial.timeline).any(|row| row.good.is_some())
}

/// A second without arrivals has no line that falls to zero.
fn in_time_of(row: &TimelineRow) -> Option<u64> {
    row.good.filter(|_| row.offered > 0)
}

fn in_time() -> Pen {
    Pen::dashed(palette::INK, 2.0)
}

fn bars(canvas: &Canvas<'_>, plot: &Plot, one: &Contestant<'_>) -> anyhow::Result<()> {
    let parts = rates::COUNTS.map(|count| Series::mean(&of_each(one, |row| Some(count(row)))));
    rates::stack(canvas, plot, &parts)?;
    let good = Series::median(&of_each(one, in_time_of));
    good.parts().iter().try_for_each(|part| plot.line(canvas, part, in_time()))
}

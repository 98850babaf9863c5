//! What became of the attempts of one trial, second by second.

use std::path::Path;

use super::{Kind, by_system};
use crate::canvas::Canvas;
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

pub(super) const KIND: Kind = Kind { name: "rates", title, seen, aid: AID, draw, data: None };

const AID: &str = "Each bar is one interval of intended starts, all operations together; \
its whole height is what was offered. Failed: certainly without effect. Unknown: may have had an \
effect. Dropped: never sent. Unfinished: still open when the drain ended.";

type Count = fn(&TimelineRow) -> u64;

/// In the order of the palette, from the floor up.
pub(super) const COUNTS: [Count; 5] =
    [|row| row.ok, |row| row.failed, |row| row.unknown, |row| row.dropped, |row| row.unfinished];

fn title(scenario: &Scenario<'_>) -> String {
    format!("Attempts by outcome {}", scenario.circumstance())
}

fn seen(scenario: &Scenario<'_>) -> String {
    by_system(scenario, |one| {
        let counts = COUNTS.iter().zip(palette::OUTCOMES).map(|(count, (name, _))| {
            let rows = one.shown().into_iter().flat_map(|trial| &trial.timeline);
            format!("{} {name}", words::count(rows.map(count).sum()))
        });
        counts.collect::<Vec<_>>().join(", ")
    })
}

/// Draws the one trial of `scenario`.
fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<()> {
    let mut legend: Vec<_> =
        palette::OUTCOMES.map(|(name, colour)| (Sample::Block(colour), name.to_string())).into();
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title(scenario),
        subtitle: "Per second of the intended start, all operations, one upon the other."
            .to_owned(),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    let all = |trial: &Trial| series(trial, |row| COUNTS.iter().map(|count| count(row)).sum());
    let trials = scenario.contestants.iter().flat_map(Contestant::shown);
    let largest = trials.map(|trial| all(trial).max()).fold(0.0, f64::max);
    let scale = Scale::from_zero(largest.max(5.0));
    let name = "attempts per second";
    let axis = Axis { scale, name, label: words::digits, is_time: false };
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis, |plot, one| {
            let parts = |trial| COUNTS.map(|count| series(trial, count));
            one.shown().into_iter().try_for_each(|trial| stack(canvas, plot, &parts(trial)))
        })
    })
}

fn series(trial: &Trial, count: impl Fn(&TimelineRow) -> u64) -> Series {
    Series::sum(trial, |row| count(row) as f64).per_second()
}

/// One upon the other, in the colours of outcomes.
pub(super) fn stack(canvas: &Canvas<'_>, plot: &Plot, parts: &[Series; 5]) -> anyhow::Result<()> {
    let length_s = f64::from(parts[0].interval_s());
    let mut rows = parts.each_ref().map(Series::iter);
    loop {
        let mut floor = 0.0;
        for (row, (_, colour)) in rows.iter_mut().zip(palette::OUTCOMES) {
            // All series have the same intervals.
            let Some((at_s, value)) = row.next() else { return Ok(()) };
            if value > 0.0 {
                let from = plot.at((f64::from(at_s), floor + value));
                let to = plot.at((f64::from(at_s) + length_s, floor));
                canvas.block(from, to, colour, 0.95)?;
            }
            floor += value;
        }
    }
}

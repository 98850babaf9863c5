//! What became of the orders that arrived in each phase.

use std::path::Path;

use super::{Kind, by_system, in_phase};
use crate::canvas::{Canvas, Hold};
use crate::compare::{Contestant, Scenario};
use crate::exclusion;
use crate::figures::Figures;
use crate::palette;
use crate::sheet::{Area, Sample, Sheet, veil};
use crate::words;
use record::{Phase, RequestCounts};

pub(super) const KIND: Kind = Kind { name: "outcomes", title, seen, aid: AID, draw, data: None };

const AID: &str = "Every order that was meant to arrive is in exactly one class. Failed: \
certainly without effect. Unknown: a time-out or a broken connection; it may have had an effect. \
Dropped: never sent by the generator, which makes the trial invalid. Unfinished: still open when \
the drain ended. Shares are over all trials that may be believed.";

const NAME_WIDTH: f64 = 290.0;
const TEXT_WIDTH: f64 = 400.0;
const BAR_HEIGHT: f64 = 34.0;
const ROW_HEIGHT: f64 = 50.0;
const HEADING_HEIGHT: f64 = 46.0;

fn title(scenario: &Scenario<'_>) -> String {
    format!("What became of {} {}", scenario.things_done(), scenario.circumstance())
}

fn seen(scenario: &Scenario<'_>) -> String {
    let (phase, when) = in_phase(scenario);
    when + &by_system(scenario, |one| sentence(&pooled(one, phase)))
}

fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<()> {
    let legend = palette::OUTCOMES.map(|(name, colour)| (Sample::Block(colour), name.to_string()));
    let blocks = scenario.phases().len() as f64;
    let rows = HEADING_HEIGHT + ROW_HEIGHT * scenario.contestants.len() as f64;
    let sheet = Sheet {
        title: title(scenario),
        subtitle: "Shares of all arrivals, by phase of the intended start.".to_owned(),
        legend: legend.to_vec(),
        source: source.to_owned(),
        height: (210.0 + blocks * rows).max(480.0) as u32,
    };
    sheet.save(path, |canvas, body| {
        for (index, phase) in scenario.phases().iter().enumerate() {
            let top = body.top + rows * index as f64;
            block(canvas, Area { top, bottom: top + rows, ..body }, scenario, phase)?;
        }
        Ok(())
    })
}

fn block(
    canvas: &Canvas<'_>,
    area: Area,
    scenario: &Scenario<'_>,
    phase: &Phase,
) -> anyhow::Result<()> {
    let heading = format!("{} ({} to {} s)", phase.name, phase.from_s, phase.to_s);
    let at = (area.left, area.top + 26.0);
    canvas.heavy(at, Hold::Left, 20.0, palette::INK, &heading)?;
    for (index, contestant) in scenario.contestants.iter().enumerate() {
        let top = area.top + HEADING_HEIGHT + ROW_HEIGHT * index as f64;
        let row = Area { top, bottom: top + BAR_HEIGHT, ..area };
        bar(canvas, row, contestant, &phase.name)?;
    }
    Ok(())
}

fn bar(
    canvas: &Canvas<'_>,
    row: Area,
    contestant: &Contestant<'_>,
    phase: &str,
) -> anyhow::Result<()> {
    let y = f64::midpoint(row.top, row.bottom);
    let colour = palette::system(contestant.order);
    let name = canvas.fit(20.0, NAME_WIDTH - 16.0, contestant.name)?;
    canvas.heavy((row.left, y), Hold::Left, 20.0, colour, &name)?;
    let bar = Area { left: row.left + NAME_WIDTH, right: row.right - TEXT_WIDTH, ..row };
    let text = (bar.right + 16.0, y);
    let counts = pooled(contestant, phase);
    if counts.scheduled == 0 {
        return canvas.text((bar.left, y), Hold::Left, 18.0, palette::SOFT, "no arrivals");
    }
    let mut left = bar.left;
    for (index, part) in parts(&counts).into_iter().enumerate() {
        let width = (bar.right - bar.left) * part as f64 / counts.scheduled as f64;
        // A share too small to see is still shown: the text beside the bar gives its size.
        let seen = if part > 0 { width.max(2.0) } else { 0.0 };
        let right = (left + seen).min(bar.right);
        canvas.block((left, bar.top), (right, bar.bottom), palette::OUTCOMES[index].1, 1.0)?;
        left = (left + width).min(bar.right - 2.0);
    }
    if let Some(excluded) = exclusion::of_all(contestant) {
        veil(canvas, bar)?;
        let excluded = canvas.fit(18.0, TEXT_WIDTH - 16.0, &excluded)?;
        return canvas.text(text, Hold::Left, 18.0, palette::INVALID, &excluded);
    }
    let told = canvas.fit(18.0, TEXT_WIDTH - 16.0, &sentence(&counts))?;
    canvas.text(text, Hold::Left, 18.0, palette::INK, &told)
}

fn parts(counts: &RequestCounts) -> [u64; 5] {
    [counts.ok, counts.failed, counts.unknown, counts.dropped, counts.unfinished]
}

fn sentence(counts: &RequestCounts) -> String {
    let whole = counts.scheduled as f64;
    let named = palette::OUTCOMES.iter().zip(parts(counts));
    let some = named.filter(|(_, part)| *part > 0);
    let shares: Vec<_> = some
        .map(|((name, _), part)| format!("{name} {}", words::percent(part as f64 / whole)))
        .collect();
    format!("{} of {}", shares.join(", "), words::count(counts.scheduled))
}

fn pooled(contestant: &Contestant<'_>, phase: &str) -> RequestCounts {
    let trials = contestant.shown();
    let counts = trials.iter().filter_map(|trial| Some(Figures::named(trial, phase)?.counts));
    counts.fold(RequestCounts::default(), |sum, part| RequestCounts {
        scheduled: sum.scheduled + part.scheduled,
        ok: sum.ok + part.ok,
        failed: sum.failed + part.failed,
        unknown: sum.unknown + part.unknown,
        dropped: sum.dropped + part.dropped,
        unfinished: sum.unfinished + part.unfinished,
    })
}

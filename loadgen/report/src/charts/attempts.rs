//! Every attempt of one trial as a point.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Chart;
use crate::audit_tables::{POINTS, Thinned};
use crate::canvas::Canvas;
use crate::compare::Scenario;
use crate::palette;
use crate::panels::{self, Axis};
use crate::plot::Plot;
use crate::scale::Scale;
use crate::sheet::{Sample, Sheet};
use crate::words;
use record::Outcome;

const AID: &str = "One point per attempt of any operation, at its intended start; its \
height is the response time from there. Unfinished attempts stand at the time after which they were \
given up, a lower bound; dropped ones, which were never sent, on the lower edge. A row of points at \
one height is a time-out.";

/// The more there are, the fainter each must be.
const FAINT_FROM: usize = 5_000;

/// Draws the attempts of the one trial in `scenario`.
pub(super) fn draw(
    scenario: &Scenario<'_>,
    attempts: &BTreeMap<Outcome, Thinned>,
    source: &str,
    path: PathBuf,
) -> anyhow::Result<Chart> {
    let title = format!("Every attempt {}", scenario.circumstance());
    let mut legend = Vec::new();
    for (outcome, colour) in palette::POINTS {
        let seen = attempts.get(&outcome).filter(|all| all.seen > 0);
        legend.extend(seen.map(|all| (Sample::Dot(colour), label(outcome, all))));
    }
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(attempts),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    let times = attempts.values().flat_map(|all| &all.kept).map(|point| point.response_ms);
    let axis = Axis {
        scale: Scale::factors(times),
        name: "response time",
        label: words::millis,
        is_time: true,
    };
    sheet.save(&path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis, |plot, _| points(canvas, plot, attempts))
    })?;
    let scenario = Some(scenario.name.to_owned());
    Ok(Chart { path, scenario, title, seen: seen(attempts), aid: AID, data: None })
}

/// How many of each outcome, and the longest response time among them.
fn seen(attempts: &BTreeMap<Outcome, Thinned>) -> String {
    let longest =
        |all: &Thinned| all.kept.iter().map(|point| point.response_ms).fold(0.0, f64::max);
    let told = attempts.iter().filter(|(_, all)| all.seen > 0).map(|(name, all)| {
        format!("{} {name}, up to {}", words::count(all.seen), words::millis(longest(all)))
    });
    told.collect::<Vec<_>>().join("; ") + "."
}

fn label(outcome: Outcome, all: &Thinned) -> String {
    let number = words::count(all.seen);
    match all.stride {
        1 => format!("{outcome}: {number}"),
        stride => format!("{outcome}: {number}, of which 1 in {stride} is drawn"),
    }
}

fn subtitle(attempts: &BTreeMap<Outcome, Thinned>) -> String {
    let text = "Response time from the intended start, on a logarithmic scale, by outcome.";
    if attempts.values().all(|all| all.stride == 1) {
        return text.to_owned();
    }
    let bound = words::count(POINTS as u64);
    format!(
        "{text} THINNED OUT: of an outcome with more than {bound} attempts every n-th is drawn, so its \
         extremes may be missing; the tables have them."
    )
}

fn points(
    canvas: &Canvas<'_>,
    plot: &Plot,
    attempts: &BTreeMap<Outcome, Thinned>,
) -> anyhow::Result<()> {
    for (outcome, colour) in palette::POINTS {
        let Some(all) = attempts.get(&outcome) else { continue };
        // What is rare is what one looks for: it lies on top, larger and opaque.
        let (radius, opacity) = match (outcome, all.kept.len() > FAINT_FROM) {
            (Outcome::Ok, true) => (1.5, 0.35),
            (Outcome::Ok, false) => (2.0, 0.6),
            (_, true) => (2.0, 0.7),
            (_, false) => (3.0, 0.9),
        };
        for point in &all.kept {
            let at = plot.at((point.at_s, point.response_ms));
            canvas.dot(at, radius, colour, opacity)?;
        }
    }
    Ok(())
}

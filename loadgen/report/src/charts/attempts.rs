//! Every attempt of one trial as a point.

use std::collections::BTreeMap;
use std::path::Path;

use crate::audit_tables::{POINTS, Thinned};
use crate::canvas::Canvas;
use crate::compare::Scenario;
use crate::palette;
use crate::panels::{self, Axis};
use crate::plot::Plot;
use crate::scale::Scale;
use crate::sheet::{Sample, Sheet};
use crate::words;

/// How to read it.
pub(super) const AID: &str = "One point per attempt of any operation, at its intended start; its \
height is the response time from there. Unfinished attempts stand at the time after which they were \
given up, a lower bound; dropped ones, which were never sent, on the lower edge. A row of points at \
one height is a time-out.";

/// The more there are, the fainter each must be.
const FAINT_FROM: usize = 5_000;

/// Draws the attempts of the one trial in `scenario` and returns the title.
pub(super) fn draw(
    scenario: &Scenario<'_>,
    attempts: &BTreeMap<String, Thinned>,
    source: &str,
    path: &Path,
) -> anyhow::Result<String> {
    let title = format!("Every attempt {}", scenario.circumstance());
    let seen = |name: &str| attempts.get(name).is_some_and(|all| all.seen > 0);
    let drawn = palette::POINTS.iter().filter(|(name, _)| seen(name));
    let mut legend: Vec<_> =
        drawn.map(|(name, colour)| (Sample::Dot(*colour), label(name, &attempts[*name]))).collect();
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(attempts),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    let times = attempts.values().flat_map(|all| &all.kept).map(|point| point.response_ms);
    let axis = Axis { scale: Scale::factors(times), name: "response time", label: words::millis };
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis, |plot, _| points(canvas, plot, attempts))
    })?;
    Ok(title)
}

fn label(name: &str, all: &Thinned) -> String {
    let number = words::count(all.seen);
    match all.stride {
        1 => format!("{name}: {number}"),
        stride => format!("{name}: {number}, of which 1 in {stride} is drawn"),
    }
}

fn subtitle(attempts: &BTreeMap<String, Thinned>) -> String {
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
    attempts: &BTreeMap<String, Thinned>,
) -> anyhow::Result<()> {
    for (name, colour) in palette::POINTS {
        let Some(all) = attempts.get(name) else { continue };
        // What is rare is what one looks for: it lies on top, larger and opaque.
        let (radius, opacity) = match (name, all.kept.len() > FAINT_FROM) {
            ("ok", true) => (1.5, 0.35),
            ("ok", false) => (2.0, 0.6),
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

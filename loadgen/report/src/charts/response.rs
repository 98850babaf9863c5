//! Response time of placing an order, second by second.

use std::path::Path;

use crate::canvas::{Canvas, Pen};
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

/// How to read it.
pub(super) const AID: &str = "Each second's arrivals, by the instant at which they were meant to \
start: a stall shows as a slope back down, because everyone who arrived during it waited. Failures \
count with the time until the customer knew: where the floor is red, a low line means quick \
refusals, not quick service. A gap is a second without an answer to measure.";

/// Draws `scenario` and returns the title.
pub(super) fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<String> {
    let title = format!("{} {}: response time per second", scenario.act(), scenario.circumstance());
    let mut legend = vec![
        (Sample::Line(Pen::solid(palette::SOFT, 3.5)), "p50".to_owned()),
        (Sample::Line(Pen::solid(palette::SOFT, 1.8)), "p99".to_owned()),
    ];
    if scenario.contestants.iter().any(|one| one.shown().len() > 1) {
        let label = "single trials (faint), their median (full)".to_owned();
        legend.push((Sample::Line(Pen::solid(palette::SOFT, 1.4).faint(0.4)), label));
    }
    legend.push((
        Sample::Block(palette::INVALID),
        "floor: not ok (paler: a part of them)".to_owned(),
    ));
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: subtitle(scenario),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    let axis = Axis { scale: scale(scenario), name: "response time", label: words::millis };
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis, |plot, one| lines(canvas, plot, one))
    })?;
    Ok(title)
}

/// How much a second's p99 is worth depends on how many arrivals it had.
fn subtitle(scenario: &Scenario<'_>) -> String {
    let trials = scenario.contestants.iter().flat_map(Contestant::shown);
    let offered: Vec<_> = trials.flat_map(main_rows).collect();
    let mean = offered.iter().map(|row| row.offered).sum::<u64>() as f64
        / offered.iter().filter(|row| row.offered > 0).count().max(1) as f64;
    format!(
        "From the intended start until the answer, all outcomes, log scale. A second holds about {} \
         {}, so its p99 rests on the slowest {}.",
        words::digits(mean.round()),
        scenario.things(),
        if mean < 200.0 { "one or two".to_owned() } else { words::digits((mean / 100.0).ceil()) }
    )
}

fn scale(scenario: &Scenario<'_>) -> Scale {
    let trials = scenario.contestants.iter().flat_map(Contestant::shown);
    let values = trials.flat_map(|trial| {
        let times = |row: &TimelineRow| [row.p50_ms, row.p99_ms];
        main_rows(trial).flat_map(times).flatten()
    });
    Scale::factors(values)
}

fn main_rows(trial: &Trial) -> impl Iterator<Item = &TimelineRow> {
    trial.timeline.iter().filter(|row| row.operation == trial.main_operation())
}

fn lines(canvas: &Canvas<'_>, plot: &Plot, contestant: &Contestant<'_>) -> anyhow::Result<()> {
    floor(canvas, plot, contestant)?;
    let colour = palette::system(contestant.order);
    let pens = [Pen::solid(palette::tint(colour, 0.75), 1.8), Pen::solid(colour, 3.5)];
    let values: [fn(&TimelineRow) -> Option<f64>; 2] = [|row| row.p99_ms, |row| row.p50_ms];
    for (pen, value) in pens.into_iter().zip(values) {
        let trials: Vec<_> =
            contestant.shown().into_iter().map(|trial| Series::of(trial, value)).collect();
        trials_and_median(canvas, plot, &trials, pen)?;
    }
    Ok(())
}

/// How much of each second was not ok, as red of that strength: a refusal is quick but no service.
fn floor(canvas: &Canvas<'_>, plot: &Plot, contestant: &Contestant<'_>) -> anyhow::Result<()> {
    const HEIGHT: f64 = 10.0;
    let share =
        |row: &TimelineRow| (row.offered > 0).then(|| 1.0 - row.ok as f64 / row.offered as f64);
    let trials = contestant.shown().into_iter();
    let trials: Vec<_> = trials.map(|trial| Series::of(trial, share)).collect();
    let shares = Series::median(&trials);
    for (at_s, share) in shares.iter().filter(|(_, share)| *share > 0.0) {
        let (from, to) = (f64::from(at_s), f64::from(at_s + shares.interval_s()));
        let (left, right) = (plot.at((from, 0.0)).0, plot.at((to, 0.0)).0);
        let bottom = plot.area.bottom;
        let opacity = 0.15 + 0.85 * share;
        canvas.block((left, bottom - HEIGHT), (right, bottom), palette::INVALID, opacity)?;
    }
    Ok(())
}

/// Each trial faintly, their median in full.
pub(super) fn trials_and_median(
    canvas: &Canvas<'_>,
    plot: &Plot,
    trials: &[Series],
    pen: Pen,
) -> anyhow::Result<()> {
    if trials.len() > 1 {
        for part in trials.iter().flat_map(Series::parts) {
            plot.line(canvas, &part, Pen { width: 1.0, ..pen }.faint(0.3))?;
        }
    }
    for part in Series::median(trials).parts() {
        plot.line(canvas, &part, pen)?;
    }
    Ok(())
}

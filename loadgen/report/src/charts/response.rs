//! Response time of the orders that were accepted, second by second, and beside it how many were not.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Kind, by_system, in_phase};
use crate::canvas::{Canvas, Pen};
use crate::compare::{Contestant, Scenario};
use crate::figure_text::{share, time_of};
use crate::figures::Figures;
use crate::interactive::{Fold, Interactive, Line, Shape};
use crate::palette;
use crate::panels::{self, Axis};
use crate::plot::Plot;
use crate::scale::Scale;
use crate::series::Series;
use crate::sheet::{Sample, Sheet};
use crate::words;
use record::TimelineRow;
use record::latency::Metric;
use record::read::{Moment, Trial};

pub(super) const KIND: Kind =
    Kind { name: "response", title, seen, aid: AID, draw, data: Some(data) };

const AID: &str = "Each second's arrivals, by the instant at which they were meant to start: a stall \
shows as a slope back down, because everyone who arrived during it waited. Only ok answers are in the lines: a \
refusal is quick and no service. What was not ok is the red strip on the floor, the fuller the more. A gap is a \
second in which nobody was accepted. A light band below the p99, where there is one: so much of it the \
measuring machine may have added by being late.";

/// What a line is called, which clock it is of, which of a second's figures it shows.
type Clock = (&'static str, Metric, fn(&Moment) -> u64);

/// The lines of a panel, from behind to the front.
static LINES: [Clock; 3] = [
    ("p99 until accepted", Metric::Response, |moment| moment.p99_us),
    ("p50 until accepted", Metric::Response, |moment| moment.p50_us),
    ("p50 until completed", Metric::Completed, |moment| moment.p50_us),
];
const STRIP: &str = "not ok";
const DOUBT_OPACITY: f64 = 0.25;
const DOUBT: &str = "p99 at the least";

fn title(scenario: &Scenario<'_>) -> String {
    format!("{} {}: response time per second", scenario.act(), scenario.circumstance())
}

fn seen(scenario: &Scenario<'_>) -> String {
    let (phase, when) = in_phase(scenario);
    let told = by_system(scenario, |one| {
        let time = |q: f64| time_of(one, phase, |figures| figures.accepted.quantile(q));
        let not_ok = share(one, phase, Figures::failed_share);
        format!("p50 {}, p99 {} of the ok answers; {not_ok} not ok", time(0.5), time(0.99))
    });
    when + &told
}

/// Of a load without orders nothing completes.
fn lines_of(scenario: &Scenario<'_>) -> &'static [Clock] {
    if scenario.is_shop() { &LINES } else { &LINES[..2] }
}

fn pen(line: usize, colour: plotters::style::RGBColor) -> Pen {
    match line {
        0 => Pen::solid(palette::tint(colour, 0.75), 1.8),
        1 => Pen::solid(colour, 3.5),
        _ => Pen::dashed(palette::INK, 2.0),
    }
}

fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<()> {
    let named = lines_of(scenario).iter().enumerate().rev();
    let sample = |(line, (name, ..)): (usize, &Clock)| {
        (Sample::Line(pen(line, palette::SOFT)), (*name).to_owned())
    };
    let mut legend: Vec<_> = named.map(sample).collect();
    if scenario.contestants.iter().any(|one| one.shown().len() > 1) {
        let label = "single trials (faint), their median (full)".to_owned();
        legend.push((Sample::Line(Pen::solid(palette::SOFT, 1.4).faint(0.4)), label));
    }
    if is_in_doubt(scenario) {
        let label = "light band: what the measuring machine may have added to the p99".to_owned();
        legend.push((Sample::Block(palette::tint(palette::SOFT, DOUBT_OPACITY)), label));
    }
    legend.push((
        Sample::Block(palette::INVALID),
        "red strip: not ok, the fuller the more".to_owned(),
    ));
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title(scenario),
        subtitle: subtitle(scenario),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis(scenario), |plot, one| {
            lines(canvas, plot, scenario, one)
        })
    })
}

fn data(scenario: &Scenario<'_>) -> Interactive {
    let shapes = [Shape::Thin, Shape::Solid, Shape::Dashed].into_iter();
    let named = lines_of(scenario).iter().zip(shapes);
    let colour = |shape: Shape| if shape == Shape::Dashed { "ink" } else { "system" };
    let line =
        |((name, ..), shape): (&Clock, Shape)| Line::new(name, shape, colour(shape), Fold::Largest);
    let mut lines: Vec<_> = named.map(line).collect();
    let strip = lines.len();
    lines.push(Line::new(STRIP, Shape::Strip, "bad", Fold::Mean));
    if is_in_doubt(scenario) {
        lines.push(Line::new(DOUBT, Shape::Doubt, "system", Fold::Largest));
    }
    Interactive::over_time(scenario, &axis(scenario), lines, |one, line| {
        match lines_of(scenario).get(line) {
            Some((_, metric, value)) => times(one, *metric, *value),
            None if line == strip => one.shown().into_iter().map(not_ok).collect(),
            None => p99_at_least(one),
        }
    })
}

/// How much a second's p99 is worth depends on how many arrivals it had.
fn subtitle(scenario: &Scenario<'_>) -> String {
    let trials = scenario.contestants.iter().flat_map(Contestant::shown);
    let offered: Vec<_> = trials.flat_map(main_rows).collect();
    let mean = offered.iter().map(|row| row.offered).sum::<u64>() as f64
        / offered.iter().filter(|row| row.offered > 0).count().max(1) as f64;
    format!(
        "From the intended start until the answer, ok answers alone, log scale. A second holds about {} \
         {}, so its p99 rests on the slowest {}.",
        words::digits(mean.round()),
        scenario.things(),
        if mean < 200.0 { "one or two".to_owned() } else { words::digits((mean / 100.0).ceil()) }
    )
}

fn axis(scenario: &Scenario<'_>) -> Axis {
    let of_lines = |one| {
        let lines = lines_of(scenario).iter();
        let times = lines.flat_map(move |(_, metric, value)| times(one, *metric, *value));
        times.chain(p99_at_least(one))
    };
    let all: Vec<_> = scenario.contestants.iter().flat_map(of_lines).collect();
    let scale = Scale::factors(all.iter().flat_map(Series::values));
    Axis { scale, name: "response time", label: words::millis, is_time: true }
}

fn main_rows(trial: &Trial) -> impl Iterator<Item = &TimelineRow> {
    trial.timeline.iter().filter(|row| row.operation == trial.main_operation())
}

/// What ok answers took, ms, trial by trial.
fn times(one: &Contestant<'_>, metric: Metric, value: fn(&Moment) -> u64) -> Vec<Series> {
    let series = |trial: &Trial| {
        let moments = trial.latencies.moments(trial.main_operation(), metric).iter();
        Series::at(trial, moments.map(|moment| (moment.at_s, value(moment) as f64 / 1e3)))
    };
    one.shown().into_iter().map(series).collect()
}

/// Whether the measuring machine may have lengthened any of the times.
fn is_in_doubt(scenario: &Scenario<'_>) -> bool {
    let trials = scenario.contestants.iter().flat_map(Contestant::shown);
    trials.flat_map(main_rows).any(|row| row.p99_least_ms.is_some())
}

/// The first line without what the measuring machine may have added, trial by trial: the line itself where that is
/// nothing.
fn p99_at_least(one: &Contestant<'_>) -> Vec<Series> {
    let series = |trial: &Trial| {
        let least: BTreeMap<u32, f64> =
            main_rows(trial).filter_map(|row| Some((row.t_s, row.p99_least_ms?))).collect();
        let moments = trial.latencies.moments(trial.main_operation(), Metric::Response).iter();
        let lower = |moment: &Moment| {
            let p99_ms = moment.p99_us as f64 / 1e3;
            (moment.at_s, least.get(&moment.at_s).map_or(p99_ms, |least| least.min(p99_ms)))
        };
        Series::at(trial, moments.map(lower))
    };
    one.shown().into_iter().map(series).collect()
}

fn not_ok(trial: &Trial) -> Series {
    Series::of(trial, |row| (row.offered > 0).then(|| 1.0 - row.ok as f64 / row.offered as f64))
}

fn lines(
    canvas: &Canvas<'_>,
    plot: &Plot,
    scenario: &Scenario<'_>,
    contestant: &Contestant<'_>,
) -> anyhow::Result<()> {
    strip(canvas, plot, contestant)?;
    let colour = palette::system(contestant.order);
    let [upper, lower] = [times(contestant, LINES[0].1, LINES[0].2), p99_at_least(contestant)]
        .map(|trials| Series::median(&trials).parts());
    for part in upper.iter().zip(&lower) {
        plot.between(canvas, (part.0, part.1), colour, DOUBT_OPACITY)?;
    }
    for (line, (_, metric, value)) in lines_of(scenario).iter().enumerate() {
        let trials = times(contestant, *metric, *value);
        trials_and_median(canvas, plot, &trials, pen(line, colour))?;
    }
    Ok(())
}

/// How much of each second was not ok, as red of that strength.
fn strip(canvas: &Canvas<'_>, plot: &Plot, contestant: &Contestant<'_>) -> anyhow::Result<()> {
    const HEIGHT: f64 = 10.0;
    let trials: Vec<_> = contestant.shown().into_iter().map(not_ok).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use record::read::Run;

    #[test]
    fn what_the_measuring_machine_may_have_added_is_drawn_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = |scenario: &str, system: &str| scenario == "spike" && system == "monolith";
        record_fixture::write_some(folder.path(), wanted).unwrap();
        let mut trial = Run::read(folder.path()).unwrap().trials.remove(0);
        let names = |trial: &Trial| {
            serde_json::to_string(&data(&Scenario::alone(trial))).unwrap().contains(DOUBT)
        };
        assert!(!names(&trial), "nothing was touched");
        let is_place = |row: &&mut TimelineRow| row.operation == record::Operation::Place;
        let mut rows: Vec<_> = trial.timeline.iter_mut().filter(is_place).collect();
        rows[30].p99_least_ms = Some(0.25);
        rows[31].p99_least_ms = Some(1e9);
        assert!(names(&trial));
        let scenario = Scenario::alone(&trial);
        let one = &scenario.contestants[0];
        let [upper, lower] = [times(one, LINES[0].1, LINES[0].2), p99_at_least(one)];
        let differing: Vec<_> =
            upper[0].iter().zip(lower[0].iter()).filter(|(above, below)| above != below).collect();
        let [((at, above), (_, below))] = differing[..] else { panic!("{differing:?}") };
        assert_eq!((at, below), (30, 0.25));
        assert!(above > 1.0, "{above}");
    }
}

//! Work that was promised and not yet done, over time.

use std::path::Path;

use super::response::trials_and_median;
use super::{Kind, by_system};
use crate::canvas::{Canvas, Pen};
use crate::compare::{Contestant, Scenario};
use crate::interactive::{Fold, Interactive, Line, Shape};
use crate::palette;
use crate::panels::{self, Axis};
use crate::plot::Plot;
use crate::scale::Scale;
use crate::series::Series;
use crate::sheet::{Sample, Sheet};
use crate::words;
use record::read::Trial;

pub(super) const KIND: Kind =
    Kind { name: "backlog", title, seen, aid: AID, draw, data: Some(data) };

const AID: &str = "The coloured area holds orders that were acknowledged and are not \
final yet; the dark line counts requests that wait for an answer. Trouble goes somewhere: into the \
area (put off), into the line (customers wait), or into failures (outcomes). The width of the area \
behind the band is the time to catch up.";

fn title(scenario: &Scenario<'_>) -> String {
    format!("Unfinished work {}", scenario.circumstance())
}

fn seen(scenario: &Scenario<'_>) -> String {
    by_system(scenario, |one| {
        let most = |of: fn(&Trial) -> Series| {
            let largest = of_each(one, of).iter().map(Series::max).fold(0.0, f64::max);
            words::count(largest.round() as u64)
        };
        format!("at most {} orders put off, {} requests waiting", most(backlog), most(in_flight))
    })
}

fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<()> {
    let ground = palette::tint(palette::SOFT, 0.45);
    let mut legend = vec![
        (Sample::Block(ground), PUT_OFF.to_owned()),
        (Sample::Line(waiting()), WAITING.to_owned()),
    ];
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title(scenario),
        subtitle: "At the end of each second.".to_owned(),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    let axis = axis(scenario);
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis, |plot, one| lines(canvas, plot, one))
    })
}

const PUT_OFF: &str = "orders accepted, not final";
const WAITING: &str = "requests in flight, all operations";

fn data(scenario: &Scenario<'_>) -> Interactive {
    let lines = vec![
        Line::new(PUT_OFF, Shape::Area, "system", Fold::Largest),
        Line::new(WAITING, Shape::Thin, "ink", Fold::Largest),
    ];
    let kinds = [backlog, in_flight];
    Interactive::over_time(scenario, &axis(scenario), lines, |one, line| of_each(one, kinds[line]))
}

fn of_each(one: &Contestant<'_>, series: fn(&Trial) -> Series) -> Vec<Series> {
    one.shown().into_iter().map(series).collect()
}

fn waiting() -> Pen {
    Pen::solid(palette::INK, 2.0)
}

/// Orders accepted and not final.
fn backlog(trial: &Trial) -> Series {
    Series::of(trial, |row| Some(row.backlog as f64))
}

fn in_flight(trial: &Trial) -> Series {
    Series::sum(trial, |row| row.in_flight as f64)
}

fn axis(scenario: &Scenario<'_>) -> Axis {
    let trials: Vec<_> = scenario.contestants.iter().flat_map(Contestant::shown).collect();
    let series = trials.iter().flat_map(|trial| [backlog(trial), in_flight(trial)]);
    let largest = series.map(|series| series.max()).fold(0.0, f64::max);
    let scale = Scale::from_zero(largest.max(5.0));
    Axis { scale, name: "orders or requests", label: words::digits, is_time: false }
}

fn lines(canvas: &Canvas<'_>, plot: &Plot, contestant: &Contestant<'_>) -> anyhow::Result<()> {
    let colour = palette::system(contestant.order);
    let backlogs = of_each(contestant, backlog);
    for part in Series::median(&backlogs).parts() {
        plot.under(canvas, &part, colour, 0.35)?;
    }
    trials_and_median(canvas, plot, &backlogs, Pen::solid(colour, 2.6))?;
    trials_and_median(canvas, plot, &of_each(contestant, in_flight), waiting())
}

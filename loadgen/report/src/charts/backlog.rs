//! Work that was promised and not yet done, over time.

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
use record::read::Trial;

use super::response::trials_and_median;

/// How to read it.
pub(super) const AID: &str = "The coloured area holds orders that were acknowledged and are not \
final yet; the dark line counts requests that wait for an answer. Trouble goes somewhere: into the \
area (put off), into the line (customers wait), or into failures (outcomes). The width of the area \
behind the band is the time to catch up.";

/// Draws `scenario` and returns the title.
pub(super) fn draw(scenario: &Scenario<'_>, source: &str, path: &Path) -> anyhow::Result<String> {
    let title = format!("Unfinished work {}", scenario.circumstance());
    let ground = palette::tint(palette::SOFT, 0.45);
    let mut legend = vec![
        (Sample::Block(ground), "orders accepted, not final".to_owned()),
        (Sample::Line(waiting()), "requests in flight, all operations".to_owned()),
    ];
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "At the end of each second.".to_owned(),
        legend,
        source: source.to_owned(),
        height: panels::sheet_height(scenario),
    };
    let axis = Axis { scale: scale(scenario), name: "orders or requests", label: words::digits };
    sheet.save(path, |canvas, body| {
        panels::draw(canvas, body, scenario, &axis, |plot, one| lines(canvas, plot, one))
    })?;
    Ok(title)
}

fn waiting() -> Pen {
    Pen::solid(palette::INK, 2.0)
}

/// Orders accepted and not final.
pub(crate) fn backlog(trial: &Trial) -> Series {
    Series::of(trial, |row| Some(row.backlog as f64))
}

fn in_flight(trial: &Trial) -> Series {
    Series::sum(trial, |row| row.in_flight as f64)
}

fn scale(scenario: &Scenario<'_>) -> Scale {
    let trials: Vec<_> = scenario.contestants.iter().flat_map(Contestant::shown).collect();
    let series = trials.iter().flat_map(|trial| [backlog(trial), in_flight(trial)]);
    let largest = series.map(|series| series.max()).fold(0.0, f64::max);
    Scale::from_zero(largest.max(5.0))
}

fn lines(canvas: &Canvas<'_>, plot: &Plot, contestant: &Contestant<'_>) -> anyhow::Result<()> {
    let colour = palette::system(contestant.order);
    let of = |series: fn(&Trial) -> Series| -> Vec<_> {
        contestant.shown().into_iter().map(series).collect()
    };
    let backlogs = of(backlog);
    for part in Series::median(&backlogs).parts() {
        plot.under(canvas, &part, colour, 0.35)?;
    }
    trials_and_median(canvas, plot, &backlogs, Pen::solid(colour, 2.6))?;
    trials_and_median(canvas, plot, &of(in_flight), waiting())
}

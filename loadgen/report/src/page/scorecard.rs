//! The scorecard: scenario by scenario and system by system the figures that answer it, the best marked.

use serde::Serialize;

use crate::compare::{Comparison, Contestant, Scenario, Spread};
use crate::differences;
use crate::exclusion;
use crate::figure_text::{NOTHING, cpu, share, time_of};
use crate::figures::{Figure, Figures, Times};
use crate::headline;
use crate::violation_text::{self, fewer_than, judged, lost_or_doubled};
use crate::words;

/// A system that took less than this share of the load cannot be the fastest: it answered the few.
const TOOK_ITS_LOAD: f64 = 0.99;
/// Values that differ by no more than this part are alike: one trial more could turn them round.
const ALIKE: f64 = 0.05;

/// One scenario.
#[derive(Serialize)]
pub(crate) struct Card {
    pub(crate) name: String,
    /// Its one sentence.
    pub(crate) sentence: String,
    /// Which arrivals the figures are of.
    pub(crate) arrivals: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// One system.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) system: String,
    /// The place of its colour in the palette.
    colour: usize,
    pub(crate) n: String,
    /// Why it has no figures; empty if it has.
    pub(crate) excluded: String,
    /// Why some of its trials are left out; empty if none is.
    partly: String,
    pub(crate) cells: Vec<Cell>,
}

/// One figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// What belongs to it in smaller letters.
    note: String,
    pub(crate) is_best: bool,
    /// Whether it is proved to differ from that of the first system.
    is_proved: bool,
    is_bad: bool,
}

/// What is said, or known, of a system.
type Of<'s, T> = Box<dyn Fn(&Contestant<'_>) -> T + 's>;

/// A column of figures: what it is called, how it is printed, which end is the better one.
struct Column<'s> {
    name: String,
    /// What it is called where differences are proved.
    proof: &'static str,
    cell: Of<'s, Cell>,
    /// What decides; `None` if the system cannot be the best.
    value: Of<'s, Option<Spread>>,
    /// Whether more is better.
    is_more: bool,
}

/// All scenarios of the run.
pub(crate) fn cards(comparison: &Comparison<'_>) -> Vec<Card> {
    comparison.scenarios.iter().map(card).collect()
}

fn card(scenario: &Scenario<'_>) -> Card {
    let (columns, proved) = (columns(scenario), differences::proved(scenario));
    let mut rows: Vec<Row> = scenario.contestants.iter().map(|one| row(one, &columns)).collect();
    for (number, column) in columns.iter().enumerate() {
        let values: Vec<_> = scenario.contestants.iter().map(&column.value).collect();
        let mut cells: Vec<&mut Cell> = rows.iter_mut().map(|row| &mut row.cells[number]).collect();
        mark_best(&mut cells, &values, column.is_more);
        for (one, cell) in scenario.contestants.iter().zip(cells) {
            cell.is_proved = proved.contains(&(one.name, column.proof));
        }
    }
    Card {
        name: scenario.name.to_owned(),
        sentence: headline::of_scenario(scenario),
        arrivals: arrivals(scenario),
        columns: columns.into_iter().map(|column| column.name).collect(),
        rows,
    }
}

/// Which arrivals the shares and times are of, and what "in time" is.
fn arrivals(scenario: &Scenario<'_>) -> String {
    let of = match scenario.main_phase() {
        Some(phase) if phase.name == "during" => {
            format!("arrivals from {} to {} s, the phase “during”", phase.from_s, phase.to_s)
        }
        _ => "all arrivals after the warm-up".to_owned(),
    };
    let objective = words::digits(scenario.manifest().limits.objective_s);
    if scenario.is_shop() { format!("{of}; in time: within {objective} s") } else { of }
}

fn row(one: &Contestant<'_>, columns: &[Column<'_>]) -> Row {
    let excluded = exclusion::of_all(one);
    Row {
        system: one.name.to_owned(),
        colour: crate::palette::place(one.order),
        n: one.number(),
        partly: exclusion::of_some(one).filter(|_| excluded.is_none()).unwrap_or_default(),
        excluded: excluded.unwrap_or_default(),
        cells: columns.iter().map(|column| (column.cell)(one)).collect(),
    }
}

fn columns<'s>(scenario: &'s Scenario<'_>) -> Vec<Column<'s>> {
    let phase = scenario.main_phase().map_or("", |phase| phase.name.as_str());
    let accepted = of_share(
        if scenario.is_shop() { "accepted" } else { "answered as asked" },
        "accepted",
        phase,
        Figures::ok_share,
    );
    if !scenario.is_shop() {
        return vec![accepted, of_p99(("p99", "accepted p99"), phase, |of| &of.accepted)];
    }
    vec![
        accepted,
        of_share("completed in time", "completed in time", phase, Figures::in_time_share),
        of_p99(("p99 until completed", "completed p99"), phase, |of| &of.completed),
        Column {
            name: "lost or charged twice".to_owned(),
            proof: "",
            cell: Box::new(violations),
            value: Box::new(|one| {
                let found = one.trials.iter().filter_map(|trial| lost_or_doubled(trial));
                let found = found.reduce(|sum, n| sum + n)?;
                Spread::of(vec![found as f64])
            }),
            is_more: false,
        },
        Column {
            name: "CPU per completed order".to_owned(),
            proof: "CPU per completed order",
            cell: Box::new(|one| figure(&cpu(one))),
            value: Box::new(|one| {
                one.spread(|trial| trial.manifest.cost.cpu_ms_per_completed_order)
            }),
            is_more: false,
        },
    ]
}

fn of_share<'s>(
    name: &str,
    proof: &'static str,
    phase: &'s str,
    of: fn(&Figures) -> Option<Figure>,
) -> Column<'s> {
    Column {
        name: name.to_owned(),
        proof,
        cell: Box::new(move |one| figure(&share(one, phase, of))),
        value: Box::new(move |one| spread(one, phase, of)),
        is_more: true,
    }
}

/// Only who took its load competes: a quick answer for few is no win.
fn of_p99<'s>(
    (name, proof): (&str, &'static str),
    phase: &'s str,
    times: fn(&Figures) -> &Times,
) -> Column<'s> {
    let took = move |one: &Contestant<'_>| {
        spread(one, phase, Figures::ok_share).map_or(0.0, |spread| spread.median)
    };
    Column {
        name: name.to_owned(),
        proof,
        cell: Box::new(move |one| {
            let cell = figure(&time_of(one, phase, |figures| times(figures).quantile(0.99)));
            let is_of_few = took(one) < TOOK_ITS_LOAD && cell.text != NOTHING;
            let notes = [is_of_few.then_some("of the accepted"), Some(cell.note.as_str())];
            let notes: Vec<_> =
                notes.into_iter().flatten().filter(|note| !note.is_empty()).collect();
            Cell { note: notes.join("; "), ..cell }
        }),
        value: Box::new(move |one| {
            let p99 = one.spread(|trial| p99_by_chance(times(&Figures::named(trial, phase)?)));
            p99.filter(|_| took(one) >= TOOK_ITS_LOAD)
        }),
        is_more: false,
    }
}

/// The p99 and between which ends that of so many samples is with 95 %, whatever their law (order statistics, by the
/// normal approximation to the binomial one); without an upper end where the sample has none.
fn p99_by_chance(times: &Times) -> Option<Figure> {
    const Q: f64 = 0.99;
    let samples = (times.count() + times.endless()).max(1) as f64;
    let half = 1.96 * (Q * (1.0 - Q) / samples).sqrt();
    Some(Figure {
        value: times.quantile(Q)?.ms,
        least: times.quantile(Q - half)?.least_ms,
        most: times.quantile(Q + half).map_or(f64::INFINITY, |time| time.most_ms),
    })
}

fn spread(one: &Contestant<'_>, phase: &str, of: fn(&Figures) -> Option<Figure>) -> Option<Spread> {
    one.spread(|trial| of(&Figures::named(trial, phase)?))
}

/// A figure and what stands behind it in brackets.
fn figure(text: &str) -> Cell {
    let (text, note) = text.split_once(" (").unwrap_or((text, ""));
    Cell { text: text.to_owned(), note: note.trim_end_matches(')').to_owned(), ..Cell::default() }
}

fn violations(one: &Contestant<'_>) -> Cell {
    let found = one.trials.iter().filter_map(|trial| lost_or_doubled(trial));
    let Some(found) = found.reduce(|sum, n| sum + n) else {
        return Cell { text: "not audited".to_owned(), ..Cell::default() };
    };
    let (others, n) = (violation_text::others(&one.trials), judged(one));
    let is_bad = found > 0 || others.is_some();
    let note = others.or_else(|| fewer_than(n).filter(|_| found == 0)).unwrap_or_default();
    Cell {
        text: format!("{} of {}", words::count(found), words::count(n)),
        note,
        is_bad,
        ..Cell::default()
    }
}

/// Marks what surpasses another, and which none surpasses: several may be the best, none may, and one of which
/// little is known is not.
fn mark_best(cells: &mut [&mut Cell], values: &[Option<Spread>], is_more: bool) {
    let known: Vec<(usize, Spread)> =
        values.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?))).collect();
    for (at, one) in &known {
        let surpasses = known.iter().any(|(_, other)| is_above(other, one, is_more));
        let is_surpassed = known.iter().any(|(_, other)| is_above(one, other, is_more));
        cells[*at].is_best = one.median.is_finite() && surpasses && !is_surpassed;
    }
}

/// Whether `other` is better than `one` by more than a reader should overlook: its worst trial and its unfavourable
/// end beat the best ones by [`ALIKE`].
fn is_above(one: &Spread, other: &Spread, is_more: bool) -> bool {
    let (least, most) = (|of: &Spread| of.least.min(of.lo), |of: &Spread| of.most.max(of.hi));
    let (upper, lower) = if is_more { (other, one) } else { (one, other) };
    let (floor, ceiling) = (least(upper), most(lower));
    floor > ceiling && (floor - ceiling > ALIKE * floor || floor.is_infinite())
}

#[cfg(test)]
mod tests;

//! The scorecard: what each system made of each scenario, in a line that fits a terminal. It knows medians over the
//! trials that may be believed; how far they are apart is in the report.

use std::fmt::Write as _;

use crate::compare::{Comparison, Contestant, Scenario, Spread, trusted};
use crate::figures::{Figure, Figures, Time};
use crate::words;
use audit::threshold;
use record::read::Trial;
use record::{Answer, Verdict};

/// What stands where nothing was measured.
const NOTHING: &str = "–";
/// Of a system's name: what is left of 80 columns.
const NAME_WIDTH: usize = 22;
/// Of a line below a row.
const NOTE_WIDTH: usize = 76;
const HEADINGS: [&str; 7] = ["n", "accepted", "in time", "p99", "lost", "twice", "CPU/order"];
const WIDTHS: [usize; 7] = [5, 10, 10, 9, 6, 6, 10];
const LEGEND: &str = "n: trials; accepted, in time: of the orders that arrived; p99: from the intended\n\
                      start until paid or declined; lost, charged twice: orders; medians of the trials\n";
const LEGEND_REQUESTS: &str =
    "n: trials; accepted: of the requests that were due; p99: of those, from the intended start\n";

/// All scenarios of a run.
pub(crate) struct Scorecard {
    pub(super) cards: Vec<Card>,
}

/// One scenario.
pub(super) struct Card {
    pub(super) scenario: String,
    /// The phase that shares and times are of.
    pub(super) phase: String,
    pub(super) is_shop: bool,
    pub(super) lines: Vec<Line>,
}

/// One system under it.
pub(super) struct Line {
    pub(super) system: String,
    /// As [`HEADINGS`].
    pub(super) cells: [String; 7],
    /// What must be known beside them.
    pub(super) notes: Vec<String>,
}

impl Scorecard {
    pub(crate) fn of(comparison: &Comparison<'_>) -> Self {
        Self { cards: comparison.scenarios.iter().map(Card::of).collect() }
    }

    /// Of some scenarios alone.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.cards.retain(|card| is_wanted(&card.scenario));
    }

    /// Those first that weigh most.
    pub(crate) fn order_by<W: Ord>(&mut self, weight: impl Fn(&str) -> W) {
        self.cards.sort_by_key(|card| std::cmp::Reverse(weight(&card.scenario)));
    }

    /// The first scenario's name.
    pub(crate) fn first(&self) -> Option<&str> {
        self.cards.first().map(|card| card.scenario.as_str())
    }

    /// The first scenarios as tables in Markdown.
    pub(crate) fn readme(&self, most: usize) -> String {
        let mut text = String::new();
        for card in self.cards.iter().take(most) {
            // Writing to memory cannot fail.
            let _ = writeln!(
                text,
                "| {}, phase {} | {} |",
                card.scenario,
                card.phase,
                HEADINGS.join(" | ")
            );
            let _ = writeln!(text, "| --- |{}", " ---: |".repeat(HEADINGS.len()));
            for line in &card.lines {
                let _ = writeln!(text, "| {} | {} |", line.system, line.cells.join(" | "));
            }
            text.push('\n');
        }
        if text.is_empty() { text } else { text + LEGEND.replace('\n', " ").trim_end() + ".\n" }
    }

    /// For a terminal of 80 columns.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for card in &self.cards {
            card.write(&mut text);
        }
        match self.cards.first() {
            Some(card) if card.is_shop => text + "\n" + LEGEND,
            Some(_) => text + "\n" + LEGEND_REQUESTS,
            None => text,
        }
    }
}

impl Card {
    fn of(scenario: &Scenario<'_>) -> Self {
        let phase = scenario.main_phase().map_or("", |phase| phase.name.as_str());
        let is_shop = scenario.is_shop();
        let line = |one: &Contestant<'_>| Line::of(one, phase, is_shop);
        Self {
            scenario: scenario.name.to_owned(),
            phase: phase.to_owned(),
            is_shop,
            lines: scenario.contestants.iter().map(line).collect(),
        }
    }

    // Writing to memory cannot fail.
    fn write(&self, text: &mut String) {
        let phase = if self.phase == "steady" { "" } else { &self.phase };
        let phase = if phase.is_empty() { String::new() } else { format!(", phase {phase}") };
        let _ = writeln!(text, "\n{}{phase}", self.scenario);
        let _ = writeln!(text, "{}", row("", &HEADINGS.map(str::to_owned)));
        for Line { system, cells, notes } in &self.lines {
            let (cells, wide) = narrow(cells);
            let _ = writeln!(text, "{}", row(system, &cells));
            for note in wide.iter().chain(notes) {
                fold(note).iter().for_each(|line| {
                    let _ = writeln!(text, "    {line}");
                });
            }
        }
    }
}

/// What has two ends and no room for them shows the upper one, and both in a note.
fn narrow(cells: &[String; 7]) -> ([String; 7], Vec<String>) {
    let (mut cells, mut notes) = (cells.clone(), Vec::new());
    for ((cell, width), heading) in cells.iter_mut().zip(WIDTHS).zip(HEADINGS) {
        let is_wide = cell.chars().count() >= width;
        if let Some((_, most)) = cell.split_once(" to ").filter(|_| is_wide) {
            let most = format!("≤ {most}");
            notes.push(format!("{heading}: {cell}"));
            *cell = most;
        }
    }
    (cells, notes)
}

fn row(system: &str, cells: &[String; 7]) -> String {
    let mut name: String = system.chars().take(NAME_WIDTH).collect();
    if name.len() < system.len() {
        name.pop();
        name.push('…');
    }
    let mut text = format!("  {name:<NAME_WIDTH$}");
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let _ = write!(text, "{cell:>width$}");
    }
    text
}

/// A note in lines that fit.
pub(crate) fn fold(note: &str) -> Vec<String> {
    folded(note, NOTE_WIDTH)
}

/// A text in lines of so many columns.
pub(crate) fn folded(note: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in note.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

impl Line {
    fn of(one: &Contestant<'_>, phase: &str, is_shop: bool) -> Self {
        let share = |share: fn(&Figures) -> Option<Figure>| {
            median(one, |trial| share(&Figures::named(trial, phase)?), words::percent)
        };
        let shop = |text: String| if is_shop { text } else { NOTHING.to_owned() };
        let cpu = median(one, |t| t.manifest.cost.cpu_ms_per_completed_order, words::millis);
        Self {
            system: one.name.to_owned(),
            cells: [
                one.number().replace(" of ", "/"),
                share(Figures::ok_share),
                shop(share(Figures::in_time_share)),
                p99(one, phase, is_shop),
                shop(found(one, "lost")),
                shop(found(one, "double-charge")),
                shop(cpu),
            ],
            notes: notes(one),
        }
    }
}

fn median<F: Into<Figure>>(
    one: &Contestant<'_>,
    value: impl Fn(&Trial) -> Option<F>,
    text: impl Fn(f64) -> String,
) -> String {
    one.spread(value).map_or_else(|| NOTHING.to_owned(), |spread| spread.told(text))
}

/// Of orders until they are final, of requests until they are answered; "≥" if it is a lower bound in any trial.
fn p99(one: &Contestant<'_>, phase: &str, is_shop: bool) -> String {
    let time = |trial: &Trial| -> Option<Time> {
        let figures = Figures::named(trial, phase)?;
        if is_shop { &figures.completed } else { &figures.accepted }.quantile(0.99)
    };
    let times: Vec<Time> = one.trusted().into_iter().filter_map(time).collect();
    let bound = if times.iter().any(|time| time.at_least) { "≥ " } else { "" };
    match Spread::of(times) {
        None => NOTHING.to_owned(),
        Some(spread) if spread.median.is_finite() => {
            format!("{bound}{}", spread.told(words::millis))
        }
        Some(_) => "never".to_owned(),
    }
}

/// Over all audited trials: a lost order is lost in a void trial too.
fn found(one: &Contestant<'_>, class: &str) -> String {
    let counts: Vec<u64> =
        one.trials.iter().filter_map(|trial| super::violations(trial, class)).collect();
    if counts.is_empty() { NOTHING.to_owned() } else { words::count(counts.iter().sum()) }
}

fn notes(one: &Contestant<'_>) -> Vec<String> {
    let of_trial = |trial: &&Trial| {
        let mut notes = Vec::new();
        if !trusted(trial) {
            notes.push(trial.manifest.validity.doubt());
        }
        let blurs = trial.manifest.validity.blurs.iter();
        notes.extend(blurs.filter(|_| trusted(trial)).map(|why| format!("blurred: {why}")));
        notes.extend(audit(trial));
        let broken = trial.thresholds.iter().filter(|met| !met.met && trusted(trial));
        notes.extend(broken.map(|met| format!("BROKEN: {}", threshold::said(met))));
        let number = trial.manifest.trial;
        notes.into_iter().map(|note| format!("trial {number} {note}")).collect::<Vec<_>>()
    };
    one.trials.iter().flat_map(of_trial).collect()
}

/// What the audit says of a trial that is not simply good.
fn audit(trial: &Trial) -> Option<String> {
    let verdict = trial.audit.as_ref()?;
    match (&trial.manifest.expect_violation, verdict.verdict) {
        (Some(expected), _) => Some(expected.sentence(verdict)),
        (None, Answer::True) => None,
        (None, Answer::Unknown) => {
            Some(format!("audit unknown: {}", verdict.sentences().join("; ")))
        }
        (None, Answer::False) => Some(format!("audit FALSE: {}", classes(verdict))),
    }
}

/// "3 lost, 1 stuck".
pub(crate) fn classes(verdict: &Verdict) -> String {
    let some = verdict.violations.iter().filter(|found| found.count > 0);
    let told = some.map(|found| format!("{} {}", words::count(found.count), found.class));
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ends_have_a_line_of_their_own_where_the_column_is_narrow() {
        let cells = ["1", "97 to 99 %", "100 %", "95.5 to 138 ms", "0", "0", "1.17 ms"];
        let (narrow, notes) = narrow(&cells.map(str::to_owned));
        assert_eq!((narrow[1].as_str(), narrow[3].as_str()), ("≤ 99 %", "≤ 138 ms"));
        assert_eq!(notes, ["accepted: 97 to 99 %", "p99: 95.5 to 138 ms"]);
        assert_eq!(row("monolith", &narrow).chars().count(), 80);
    }

    #[test]
    fn a_row_fits_whatever_its_name() {
        let cells = ["12/13", "> 99.99 %", "< 0.01 %", "≥ 15.9 s", "1,234", "1,234", "2.01 ms"];
        let cells = cells.map(str::to_owned);
        for name in ["monolith", "a-system-with-a-name-of-many-words-and-more"] {
            let row = row(name, &cells);
            assert_eq!(row.chars().count(), 80, "{row}");
        }
        let note = fold(&"word ".repeat(60));
        assert!(note.len() > 3 && note.iter().all(|line| line.chars().count() <= NOTE_WIDTH));
        assert!(LEGEND.lines().all(|line| line.chars().count() <= 80));
    }
}

//! `summary.md`: the scorecard as a page that is short enough for a pull request.

use std::fmt::Write as _;

use super::scorecard::{Card, Line, Scorecard};
use crate::page;
use record::read::Run;

const HEADINGS: &str = "| scenario | system | n | accepted | in time | p99 | lost | charged twice | CPU per order |\n\
                        | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
/// More notes than these are counted: whoever wants them all opens the report.
const NOTES_MAX: usize = 20;

/// The page of a run.
pub(crate) fn text(run: &Run, card: &Scorecard) -> String {
    let trials = run.trials.len();
    let trials = if trials == 1 { "1 trial".to_owned() } else { format!("{trials} trials") };
    let mut text =
        format!("### {}: {trials}, revision {}\n\n{HEADINGS}", run.name, page::revision(run));
    let mut notes = Vec::new();
    for Card { scenario, phase, lines, .. } in &card.cards {
        let scenario =
            if phase == "steady" { scenario.clone() } else { format!("{scenario} ({phase})") };
        for Line { system, cells, notes: some } in lines {
            // Writing to memory cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                cell(&scenario),
                cell(system),
                cells.join(" | ")
            );
            notes.extend(some.iter().map(|note| format!("- {scenario}, {system}: {note}\n")));
        }
    }
    text.push_str("\nMedians of the trials that may be believed; p99 until paid or declined.\n\n");
    let more = notes.len().saturating_sub(NOTES_MAX);
    text.extend(notes.into_iter().take(NOTES_MAX));
    if more > 0 {
        let _ = writeln!(text, "- and {more} more, in report.html");
    }
    let not_run = run.environment.get("not run");
    text.extend(not_run.map(|why| format!("- not run: {why}\n")));
    text
}

/// What would end a cell is escaped.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

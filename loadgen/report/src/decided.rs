//! What a run decides of claims, from its plan and its records alone: verdicts as a table, as JSON, as a page and
//! for a terminal.
//!
//! It runs nothing. What was to be run for which claim stands in the run's folder ([`Plan`]).

mod against;
mod figure;
mod figures;
mod json;
mod lesson;
pub(crate) mod map;
mod overtaken;
mod page;
mod plan;
mod results;
mod stuck;
mod table;
mod units;

use std::path::Path;

use anyhow::Context as _;
use decide::{Answer, Claim, Decision, Verdict};

pub use against::{Against, Row, Same, against};
pub use figure::{Scope, scope};
pub use json::{Told, Verdicts, last};
pub use lesson::{LESSON, write_lesson};
pub use plan::{Cell, Plan, Planned};
use record::atomic_write::{self, write_json};
use record::files;

use crate::summary::{fold, folded};

/// The verdicts, a line each.
const TABLE: &str = "verdicts.csv";
/// The same with all that they rest on; docs/verdicts.schema.json describes it.
const JSON: &str = "verdicts.json";
/// The same to be looked at.
const PAGE: &str = "decision.html";
/// The page, for who says where it is.
pub const DECISION: &str = PAGE;

/// Of the column of verdicts in a terminal.
const VERDICT_WIDTH: usize = 15;
/// What is left of 80 columns.
const SENTENCE_WIDTH: usize = 80 - VERDICT_WIDTH;

/// Claims and what became of them.
#[derive(Clone, Debug)]
pub struct Decided {
    /// All that were judged, the run's controls among them.
    pub claims: Vec<Claim>,
    /// What the run decides.
    pub decision: Decision,
}

/// What a run's records decide so far.
///
/// # Errors
/// If a claim of the plan or a record cannot be read.
pub fn decide(folder: &Path, plan: &Plan) -> anyhow::Result<Decided> {
    let claims = plan.claims()?;
    let records = results::Records::read(folder, plan, &claims)?;
    Ok(of(plan, claims, &records))
}

fn of(plan: &Plan, claims: Vec<Claim>, records: &results::Records) -> Decided {
    let mut decision = decide::decide(&claims, records);
    decision.unjudged.extend(plan.left_out.iter().map(|id| format!("{id}: left out of this run.")));
    Decided { claims, decision }
}

/// Writes the verdicts of a run into its folder.
///
/// # Errors
/// As [`decide`]; or a file cannot be written.
pub(crate) fn write(folder: &Path, plan: &Plan) -> anyhow::Result<()> {
    let claims = plan.claims()?;
    let records = results::Records::read(folder, plan, &claims)?;
    let pictured = map::write(folder, plan, &claims, &records)?;
    let units = units::of(&claims, &records);
    units::write(folder, &units)?;
    let decided = of(plan, claims, &records);
    atomic_write::write(&folder.join(files::FIGURES), &records.figures().csv()?)?;
    let verdicts = Verdicts::of(folder, plan, &decided);
    atomic_write::write(&folder.join(TABLE), &table::csv(&verdicts)?)?;
    write_json(&folder.join(JSON), &verdicts)?;
    atomic_write::write(&folder.join(PAGE), page::html(&verdicts, &pictured, &units)?.as_bytes())
}

impl Decided {
    /// The verdicts for a terminal of 80 columns.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for (heading, verdicts) in
            [("claim", &self.decision.verdicts), ("control of the run", &self.decision.controls)]
        {
            if !verdicts.is_empty() {
                lines.push(format!("\n{:<VERDICT_WIDTH$}{heading}", "verdict"));
            }
            lines.extend(verdicts.iter().flat_map(|verdict| self.said(verdict)));
        }
        lines.push(String::new());
        lines.extend(fold(&self.decision.correction.words()));
        for unjudged in &self.decision.unjudged {
            lines.extend(fold(&format!("not judged: {unjudged}")));
        }
        for wrong in &self.decision.wrong {
            lines.extend(fold(&format!("CONTROL WRONG, so nothing is decided: {wrong}")));
        }
        lines.join("\n") + "\n"
    }

    /// Whether each of these claims has a verdict.
    #[must_use]
    pub fn has_all(&self, asked: impl Fn(&str) -> bool) -> bool {
        let open =
            |verdict: &&Verdict| matches!(verdict.answer, Answer::Undecided | Answer::NotHere(_));
        !self.decision.verdicts.iter().filter(open).any(|verdict| asked(&verdict.claim))
    }

    /// A row with the verdict and the sentence; below it the claim's name, and what the verdict rests on.
    fn said(&self, verdict: &Verdict) -> Vec<String> {
        let claim = self.claims.iter().find(|claim| claim.id == verdict.claim);
        let sentence = claim.map_or(verdict.claim.as_str(), |claim| &claim.sentence);
        let answer = verdict.answer.to_string();
        let fits = answer.chars().count() < VERDICT_WIDTH;
        let short = if fits { answer.as_str() } else { json::word(&verdict.answer) };
        let mut lines: Vec<String> = folded(sentence, SENTENCE_WIDTH)
            .into_iter()
            .zip(std::iter::once(short).chain(std::iter::repeat("")))
            .map(|(line, cell)| format!("{cell:<VERDICT_WIDTH$}{line}"))
            .collect();
        let whole = if fits { String::new() } else { format!("{answer}. ") };
        let reason = verdict.main().map(decide::Finding::reason).unwrap_or_default();
        let below = folded(&format!("{}: {whole}{reason}", verdict.claim), SENTENCE_WIDTH - 2);
        lines.extend(below.iter().map(|line| format!("{:<VERDICT_WIDTH$}  {line}", "")));
        lines
    }
}

/// The plan of a run; `None` if it was not asked for verdicts.
///
/// # Errors
/// If there is one that cannot be read.
pub fn plan(folder: &Path) -> anyhow::Result<Option<Plan>> {
    Plan::read(folder).context("the plan of the claims cannot be used")
}

//! What a run decides of claims, from its plan and its records alone: verdicts as a table, as JSON, as a page and
//! for a terminal.
//!
//! It runs nothing. What was to be run for which claim stands in the run's folder ([`Plan`]).

mod figure;
mod json;
mod page;
mod plan;
mod results;
mod stuck;
mod table;

use std::path::Path;

use anyhow::Context as _;
use decide::{Answer, Claim, Decision, Verdict};

pub use figure::{Scope, scope};
pub use json::{Verdicts, last};
pub use plan::{Cell, Plan, Planned};
use record::atomic_write::{self, write_json};

use crate::summary::fold;

/// The verdicts, a line each.
const TABLE: &str = "verdicts.csv";
/// The same with all that they rest on; docs/verdicts.schema.json describes it.
const JSON: &str = "verdicts.json";
/// The same to be looked at.
const PAGE: &str = "decision.html";
/// The page, for who says where it is.
pub const DECISION: &str = PAGE;

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
    let results = results::Records::read(folder, plan, &claims)?;
    let decision = decide::decide(&claims, &results);
    Ok(Decided { claims, decision })
}

/// Writes the verdicts of a run into its folder.
///
/// # Errors
/// As [`decide`]; or a file cannot be written.
pub(crate) fn write(folder: &Path, plan: &Plan) -> anyhow::Result<()> {
    let decided = decide(folder, plan)?;
    let verdicts = Verdicts::of(folder, plan, &decided);
    atomic_write::write(&folder.join(TABLE), &table::csv(&verdicts)?)?;
    write_json(&folder.join(JSON), &verdicts)?;
    atomic_write::write(&folder.join(PAGE), page::html(&verdicts)?.as_bytes())
}

impl Decided {
    /// The verdicts for a terminal of 80 columns.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for verdict in self.decision.verdicts.iter().chain(&self.decision.controls) {
            lines.extend(said(verdict));
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
}

/// A line with the verdict, and what it rests on below it.
fn said(verdict: &Verdict) -> Vec<String> {
    let control = if verdict.must.is_some() { " (control)" } else { "" };
    let mut lines = fold(&format!("{}: {}{control}", verdict.claim, verdict.answer));
    let reason = verdict.main().map(decide::Finding::reason);
    for line in reason.iter().flat_map(|reason| fold(reason)) {
        lines.push(format!("    {line}"));
    }
    lines
}

/// The plan of a run; `None` if it was not asked for verdicts.
///
/// # Errors
/// If there is one that cannot be read.
pub fn plan(folder: &Path) -> anyhow::Result<Option<Plan>> {
    Plan::read(folder).context("the plan of the claims cannot be used")
}

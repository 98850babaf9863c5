//! From findings to the verdict on a claim, with its reasons.

use super::finding::{Finding, Proof, Side};
use crate::claim::{Claim, Must};

/// What is said of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All that it expects is met.
    Holds,
    /// Something that it expects is not.
    Fails,
    /// It holds at these points of its sweep, and fails at all others.
    OnlyIf(Vec<String>),
    /// Neither is shown.
    Undecided,
    /// This is lacking here to decide it.
    NotHere(String),
}

/// The verdict on a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The claim's file.
    pub claim: String,
    /// What is said.
    pub answer: Answer,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
    /// What it rests on: of each expectation, at each point of the sweep.
    pub findings: Vec<Finding>,
    /// How it must come out, if it is a control of the run.
    pub must: Option<Must>,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Fails => f.write_str("fails"),
            Self::OnlyIf(points) => write!(f, "holds only if {}", points.join(" or ")),
            Self::Undecided => f.write_str("undecided"),
            Self::NotHere(needs) => write!(f, "not decidable here: needs {needs}"),
        }
    }
}

impl Verdict {
    /// The finding that a line about the claim shows: the first that says what the verdict says, else the first of
    /// all; none of the control arm's.
    #[must_use]
    pub fn main(&self) -> Option<&Finding> {
        let side = match self.answer {
            Answer::Holds | Answer::OnlyIf(_) => Side::Holds,
            Answer::Fails => Side::Fails,
            Answer::Undecided | Answer::NotHere(_) => Side::Undecided,
        };
        let own = || self.findings.iter().filter(|found| !found.is_control);
        own().find(|found| found.side == side).or_else(|| own().next())
    }

    /// Whether the counts of all blocks decide it, so that further blocks are of no use to it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let is_fact = |found: &Finding| {
            matches!(found.proof, Proof::Counts { .. }) && found.side != Side::Undecided
        };
        !self.findings.is_empty() && self.findings.iter().all(is_fact)
    }

    /// The same, but undecided if something is wrong with the run's controls.
    pub(super) fn unless(mut self, wrong: &[String]) -> Self {
        if wrong.is_empty() || matches!(self.answer, Answer::NotHere(_)) {
            return self;
        }
        self.answer = Answer::Undecided;
        self.reasons.insert(0, format!("The run's controls came out wrong: {}", wrong.join(" ")));
        self
    }
}

/// The verdict on a claim of these findings.
pub(super) fn of(claim: &Claim, findings: Vec<Finding>) -> Verdict {
    let reasons = findings.iter().map(|found| reason(claim, found)).collect();
    let answer = match &claim.needs {
        Some(needs) => Answer::NotHere(needs.clone()),
        None => answer(claim, &findings),
    };
    Verdict { claim: claim.id.clone(), answer, reasons, findings, must: claim.must }
}

fn reason(claim: &Claim, found: &Finding) -> String {
    let point = found.point.and_then(|point| claim.point(point)).map(|point| format!("{point}: "));
    let control = if found.is_control { "Control: " } else { "" };
    format!("{control}{}{}", point.unwrap_or_default(), found.reason())
}

fn answer(claim: &Claim, findings: &[Finding]) -> Answer {
    let whole: Vec<&Finding> = findings.iter().filter(|found| found.point.is_none()).collect();
    let points: Vec<Side> = (0..claim.points())
        .map(|point| all(findings.iter().filter(|found| found.point == Some(point))))
        .collect();
    let points =
        if claim.sweep.is_some() && findings.len() > whole.len() { points } else { Vec::new() };
    let has = |side| points.contains(&side);
    let over_points = match (has(Side::Holds), has(Side::Fails), has(Side::Undecided)) {
        (_, _, true) => Side::Undecided,
        (false, true, false) => Side::Fails,
        (true, true, false) => return only_if(claim, &points, all(whole.into_iter())),
        (_, false, false) => Side::Holds,
    };
    match worst([all(whole.into_iter()), over_points]) {
        Side::Holds => Answer::Holds,
        Side::Fails => Answer::Fails,
        Side::Undecided => Answer::Undecided,
    }
}

fn only_if(claim: &Claim, points: &[Side], whole: Side) -> Answer {
    match whole {
        Side::Fails => Answer::Fails,
        Side::Undecided => Answer::Undecided,
        Side::Holds => {
            let here = points.iter().enumerate().filter(|(_, side)| **side == Side::Holds);
            Answer::OnlyIf(here.filter_map(|(point, _)| claim.point(point)).collect())
        }
    }
}

/// What several expectations say together: all must be met, and none is judged where its control is not.
fn all<'f>(findings: impl Iterator<Item = &'f Finding>) -> Side {
    let (controls, own): (Vec<_>, Vec<_>) = findings.partition(|found| found.is_control);
    if controls.iter().any(|found| found.side != Side::Holds) {
        return Side::Undecided;
    }
    worst(own.into_iter().map(|found| found.side))
}

fn worst(sides: impl IntoIterator<Item = Side>) -> Side {
    sides.into_iter().fold(Side::Holds, |worst, side| match (worst, side) {
        (Side::Fails, _) | (_, Side::Fails) => Side::Fails,
        (Side::Undecided, _) | (_, Side::Undecided) => Side::Undecided,
        (Side::Holds, Side::Holds) => Side::Holds,
    })
}

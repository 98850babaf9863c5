//! The run's own controls: a known nothing, a known difference, a known mistake.

use super::answer::{Answer, Verdict};
use super::finding::Proof;
use crate::claim::Must;

/// What is wrong with them, and which could not be judged of so few blocks.
pub(super) fn judge(controls: &[Verdict]) -> (Vec<String>, Vec<String>) {
    let (mut wrong, mut unjudged) = (Vec::new(), Vec::new());
    for control in controls {
        let is_right = match (control.must, &control.answer) {
            (_, Answer::Holds) | (Some(Must::NotFail), Answer::Undecided) => true,
            (_, Answer::NotHere(_)) => {
                unjudged.push(format!("{}: {}", control.claim, control.answer));
                continue;
            }
            (_, Answer::Undecided) if has_too_few_blocks(control) => {
                unjudged.push(format!("{}: too few blocks.", control.claim));
                continue;
            }
            (_, Answer::Fails | Answer::OnlyIf(_) | Answer::Undecided) => false,
        };
        if !is_right {
            let what =
                if control.must == Some(Must::Hold) { "was not found" } else { "was not nothing" };
            wrong.push(format!("{} {what}: {}", control.claim, control.reasons.join(" ")));
        }
    }
    (wrong, unjudged)
}

fn has_too_few_blocks(control: &Verdict) -> bool {
    let mut open = control.findings.iter().filter(|found| found.side == super::Side::Undecided);
    open.all(|found| matches!(found.proof, Proof::TooFew { .. }))
}

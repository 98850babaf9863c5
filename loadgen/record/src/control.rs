//! Controls: systems that are wrong on purpose. An audit that does not find the mistake proves nothing
//! about the others, so a run in which a control disappoints is void. It knows verdicts, not causes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Answer, Class, Kind, Verdict};

const NONE: &str = "none";

/// What the audit of a control must find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ExpectedViolation {
    /// A violation of this class: a negative control.
    Class(String),
    /// No violation: the counterpart of a negative control.
    None,
}

impl ExpectedViolation {
    /// Whether the audit found what it must.
    #[must_use]
    pub fn is_met(&self, verdict: &Verdict) -> bool {
        match self {
            Self::None => verdict.verdict == Answer::True,
            Self::Class(class) => verdict.verdict == Answer::False && count(class, verdict) > 0,
        }
    }

    /// What came of it, for the terminal and the report.
    #[must_use]
    pub fn sentence(&self, verdict: &Verdict) -> String {
        let found = verdict.violations.iter().filter(|v| v.count > 0);
        let found: Vec<String> = found.map(|v| format!("{} {}", v.class, v.count)).collect();
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        match (self.is_met(verdict), self) {
            (true, Self::Class(class)) => {
                format!("negative control: {class} found, as it must be ({found})")
            }
            (true, Self::None) => "positive control: nothing found, as it must be".to_owned(),
            (false, expected) => format!(
                "VOID: this control must come out with {expected}, but the audit found {found}; \
                 believe no other verdict of this run"
            ),
        }
    }
}

/// The classes that make a verdict false.
fn violations() -> impl Iterator<Item = &'static str> {
    Class::all().filter(|class| class.kind() != Kind::Oddity).map(Class::name)
}

fn count(class: &str, verdict: &Verdict) -> u64 {
    verdict.violations.iter().filter(|v| v.class == class).map(|v| v.count).sum()
}

impl fmt::Display for ExpectedViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => f.write_str(class),
            Self::None => f.write_str(NONE),
        }
    }
}

impl FromStr for ExpectedViolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == NONE {
            return Ok(Self::None);
        }
        if violations().any(|class| class == text) {
            return Ok(Self::Class(text.to_owned()));
        }
        let known: Vec<&str> = violations().chain([NONE]).collect();
        Err(format!("expect_violation is {text:?}; expected one of {}", known.join(", ")))
    }
}

impl TryFrom<String> for ExpectedViolation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ExpectedViolation> for String {
    fn from(expectation: ExpectedViolation) -> Self {
        expectation.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Finding;

    fn verdict(answer: Answer, class: &str, count: u64) -> Verdict {
        let finding = Finding { class: class.to_owned(), count, ..Finding::default() };
        Verdict { verdict: answer, violations: vec![finding], ..Verdict::default() }
    }

    #[track_caller]
    fn check(expected: &str, verdict: &Verdict, met: bool, part: &str) {
        let expectation: ExpectedViolation = expected.parse().unwrap();
        assert_eq!(expectation.is_met(verdict), met);
        let sentence = expectation.sentence(verdict);
        assert!(sentence.contains(part), "{sentence}");
        assert_eq!(sentence.contains("VOID"), !met);
    }

    #[test]
    fn a_control_is_met_by_its_own_class_alone() {
        let double = verdict(Answer::False, "double-charge", 3);
        check(
            "double-charge",
            &double,
            true,
            "double-charge found, as it must be (double-charge 3)",
        );
        check("stuck", &double, false, "must come out with stuck");
        check("none", &double, false, "found double-charge 3");
        let good = verdict(Answer::True, "stuck", 0);
        check("stuck", &good, false, "found nothing");
        check("none", &good, true, "positive control");
        check("stuck", &verdict(Answer::Unknown, "stuck", 0), false, "VOID");
        check("none", &verdict(Answer::Unknown, "stuck", 0), false, "VOID");
        let wrong = "double-charg".parse::<ExpectedViolation>().unwrap_err();
        assert!(wrong.contains("expected one of") && wrong.contains("double-charge"), "{wrong}");
    }
}

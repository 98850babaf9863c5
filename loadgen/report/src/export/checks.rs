//! What a run's trials are held against: whether they may be believed, what the audit found, what was promised. It
//! knows no format.

use std::collections::BTreeSet;

use crate::compare::trusted;
use crate::summary::classes;
use audit::threshold;
use record::Answer;
use record::read::{Run, Trial};

/// One thing that a trial is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// scenario · system · trial 1.
    pub(super) place: String,
    pub(super) name: String,
    pub(super) result: Checked,
}

/// How it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Passed,
    /// It is not as it must be; what was found.
    Failed(String),
    /// It could not be judged: the measurement is at fault.
    Unknown(String),
    /// It was not looked at, and why that is no fault.
    Skipped(String),
}

/// Of all trials, in the run's order, and of what was not run.
pub(super) fn checks(run: &Run) -> Vec<Check> {
    let again: BTreeSet<_> =
        run.trials.iter().filter(|trial| trial.manifest.rerun > 0).map(of).collect();
    let mut checks: Vec<Check> = Vec::new();
    for trial in &run.trials {
        let is_replaced = run
            .trials
            .iter()
            .any(|other| of(other) == of(trial) && other.manifest.rerun > trial.manifest.rerun);
        let place = place(trial, again.contains(&of(trial)));
        let check = |(name, result)| Check { place: place.clone(), name, result };
        checks.extend(of_trial(trial, is_replaced).into_iter().map(check));
    }
    let lost = run.without_manifest.iter().map(|folder| Check {
        place: folder.display().to_string(),
        name: "record".to_owned(),
        result: Checked::Unknown(
            "it has no manifest.json: it ended before it was complete".to_owned(),
        ),
    });
    let not_run = run.environment.get("not run").map(|why| Check {
        place: run.name.clone(),
        name: "not run".to_owned(),
        result: Checked::Skipped(why.clone()),
    });
    checks.into_iter().chain(lost).chain(not_run).collect()
}

/// What tells a trial from others but not from its reruns.
fn of(trial: &Trial) -> (&str, &str, u32) {
    (&trial.manifest.scenario, &trial.manifest.system, trial.manifest.trial)
}

fn place(trial: &Trial, is_again: bool) -> String {
    let (scenario, system, number) = of(trial);
    let run = trial.manifest.rerun + 1;
    let run = if is_again { format!(", run {run}") } else { String::new() };
    format!("{scenario} · {system} · trial {number}{run}")
}

fn of_trial(trial: &Trial, is_replaced: bool) -> Vec<(String, Checked)> {
    let validity = &trial.manifest.validity;
    let believed = match trusted(trial) {
        true => Checked::Passed,
        false if is_replaced => Checked::Skipped(format!("run again; {}", validity.doubt())),
        false => Checked::Unknown(validity.doubt()),
    };
    let promises = trial.thresholds.iter().map(|met| {
        let result = match (met.met, trusted(trial)) {
            (true, _) => Checked::Passed,
            (false, true) => Checked::Failed(threshold::said(met)),
            (false, false) => Checked::Skipped("the trial may not be believed".to_owned()),
        };
        let of = format!("{} {}", met.operation, met.phase);
        (format!("{} ({})", met.expect, of.trim_end()), result)
    });
    let mut all = vec![("measurement".to_owned(), believed)];
    all.extend(audit(trial).map(|found| ("audit".to_owned(), found)));
    all.extend(promises);
    all
}

/// As exit codes have it: a violation counts in a void trial, too, and a control is held against what it must show.
fn audit(trial: &Trial) -> Option<Checked> {
    let verdict = trial.audit.as_ref()?;
    if let Some(expected) = &trial.manifest.expect_violation {
        let sentence = expected.sentence(verdict);
        return Some(match (expected.is_met(verdict), trial.manifest.validity.interrupted) {
            (true, _) => Checked::Passed,
            (false, true) => Checked::Skipped(sentence),
            (false, false) => Checked::Failed(sentence),
        });
    }
    Some(match verdict.verdict {
        Answer::True => Checked::Passed,
        Answer::False => Checked::Failed(classes(verdict)),
        Answer::Unknown => Checked::Unknown(verdict.sentences().join("; ")),
    })
}

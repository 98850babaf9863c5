//! What the measured window of a trial says for the system, and what against it. It knows no search.

use super::judge::{self, Told};
use super::keeps::{Keeps, ToldBy};
use super::thirds;
use super::window::Window;
use crate::threshold;
use crate::validity;
use record::{Answer, Reason};

/// What a window says for and against the system.
#[derive(Default)]
pub(super) struct Findings {
    /// Reasons to say that it did not keep the rate.
    pub(super) troubles: Vec<String>,
    /// What chance may have made of it.
    pub(super) unclear: Vec<String>,
}

impl Findings {
    fn add(&mut self, told: Told) {
        match told {
            Told::Kept => {}
            Told::Broken(text) => self.troubles.push(text),
            Told::Unclear(text) => self.unclear.push(text),
        }
    }
}

impl Window<'_> {
    /// Open orders more per second: from the first to the last of the window's seconds, or thirds.
    pub(super) fn growth_per_s(&self, keeps: &Keeps) -> f64 {
        match (&self.told, keeps.told_by) {
            (_, ToldBy::Thirds) => thirds::growth(self).per_s,
            (Ok(seconds), _) => match (seconds.first(), seconds.last()) {
                (Some(first), Some(last)) if seconds.len() > 1 => {
                    (last.mean - first.mean) / (seconds.len() - 1) as f64
                }
                _ => 0.0,
            },
            (Err(_), _) => 0.0,
        }
    }

    /// What it says of the system.
    pub(super) fn findings(&self, keeps: &Keeps) -> Findings {
        let mut findings = Findings::default();
        match (&self.told, keeps.told_by) {
            (_, ToldBy::Thirds) => findings.troubles = thirds::troubles(self, keeps),
            (Ok(seconds), _) => {
                let objective_s = self.trial.manifest.limits.objective_s;
                findings.add(judge::in_time(seconds, keeps.share, objective_s));
                let (others, which) = self.others(keeps.share);
                findings.add(judge::answered(&others, keeps.share, &which));
                findings.add(judge::growth(seconds, self.orders_per_s(keeps), keeps.share));
            }
            (Err(_), _) => {}
        }
        findings.troubles.extend(self.overload());
        let judged = keeps.thresholds.iter().filter(|t| !threshold::is_unknown(t, self.trial));
        for met in judged.flat_map(|t| threshold::judge(t, self.trial)).filter(|m| !m.met) {
            let found = met.found(|found| found.to_string());
            findings.troubles.push(format!("{} ({}): found {found}", met.expect, met.operation));
        }
        findings
    }

    /// Thresholds that the window is too short for. Where something else is broken this says nothing
    /// for the system: it may have answered too few.
    pub(super) fn too_few(&self, keeps: &Keeps) -> Vec<String> {
        let unknown = keeps.thresholds.iter().filter(|t| threshold::is_unknown(t, self.trial));
        unknown
            .map(|t| {
                let (expect, least) = (&t.expect, t.expect.least());
                format!("{expect}: not known from fewer than {least} values: give a longer --step")
            })
            .collect()
    }

    /// What the trial's own judgement has against the system.
    fn overload(&self) -> Vec<String> {
        let reasons = self.trial.manifest.validity.reasons.iter();
        let mut found: Vec<String> =
            reasons.filter(|r| validity::comes_of_overload(r)).map(Reason::to_string).collect();
        if let Some(verdict) = self.trial.audit.as_ref().filter(|v| v.verdict == Answer::False) {
            let some = verdict.violations.iter().filter(|v| v.count > 0);
            let classes: Vec<String> = some.map(|v| format!("{} {}", v.count, v.class)).collect();
            found.push(format!("the audit is false: {}", classes.join(", ")));
        }
        found
    }
}

//! The measured window of a trial at one rate, read off its finished record: what of it speaks for the
//! system, what against it, and what of the instrument. It knows no search.

use std::collections::BTreeMap;
use std::path::Path;

use crate::threshold;
use crate::validity;
use record::latency::Metric;
use record::read::{Spectrum, Trial};
use record::{Answer, Phase, Reason};

use super::judge::{self, Told};
use super::open::{self, Second};
use super::thirds;
use super::trial_at_rate::{Keeps, ToldBy};

/// Arrivals and ok answers.
#[derive(Clone, Copy, Default)]
pub(super) struct Share {
    pub(super) offered: u64,
    pub(super) ok: u64,
}

impl Share {
    pub(super) fn value(self, part: u64) -> f64 {
        part as f64 / self.offered.max(1) as f64
    }
}

/// The measured window of a trial.
pub(super) struct Window<'t> {
    pub(super) trial: &'t Trial,
    pub(super) phase: Phase,
    pub(super) seconds: f64,
    pub(super) main: Share,
    /// By their words.
    others: BTreeMap<&'t str, Share>,
    /// Of the main operation, within the objective.
    pub(super) in_time: u64,
    /// Second by second, or why that is not known; empty where it is not asked for.
    told: Result<Vec<Second>, String>,
}

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

impl<'t> Window<'t> {
    pub(super) fn of(folder: &Path, trial: &'t Trial, keeps: &Keeps) -> Self {
        let phase = trial.manifest.phases.first().cloned().unwrap_or_default();
        let seconds = f64::from(phase.to_s.saturating_sub(phase.from_s).max(1));
        let (mut main, mut others) = (Share::default(), BTreeMap::<&str, Share>::new());
        for row in trial.timeline.iter().filter(|r| (phase.from_s..phase.to_s).contains(&r.t_s)) {
            let operation = row.operation.as_str();
            let share = if operation == trial.main_operation() {
                &mut main
            } else {
                others.entry(operation).or_default()
            };
            share.offered += row.offered;
            share.ok += row.ok;
        }
        let objective_us = (trial.manifest.limits.objective_s * 1e6) as u64;
        let told = Ok(Vec::new());
        let mut window = Self { trial, phase, seconds, main, others, in_time: 0, told };
        window.in_time = window.finished().count_up_to(objective_us);
        window.told = window.open_orders(folder, keeps);
        window
    }

    fn open_orders(&self, folder: &Path, keeps: &Keeps) -> Result<Vec<Second>, String> {
        if keeps.told_by == ToldBy::Thirds {
            return Ok(Vec::new());
        }
        let orders = open::read(folder, self.trial).map_err(|error| format!("{error:#}"))?;
        let window = (self.phase.from_s, self.phase.to_s);
        let objective_s = self.trial.manifest.limits.objective_s;
        Ok(open::seconds(&orders, window, self.orders_per_s(keeps), objective_s))
    }

    /// Arrivals of the main operation per second that the rate means; those that came, if the record does
    /// not say.
    fn orders_per_s(&self, keeps: &Keeps) -> f64 {
        let meant = keeps.main_share.map(|share| share * self.rate_per_s());
        meant.unwrap_or_else(|| self.offered_per_s())
    }

    pub(super) fn offered_per_s(&self) -> f64 {
        self.main.offered as f64 / self.seconds
    }

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

    pub(super) fn rate_per_s(&self) -> f64 {
        self.trial.manifest.offered.first().map_or(0.0, |corner| corner.rate_per_s)
    }

    fn times(&self, metric: Metric, wanted: fn(&str) -> bool) -> Spectrum {
        self.trial.latencies.times(0, self.trial.main_operation(), metric, wanted)
    }

    /// From the intended start to the final state; without orders, to the ok answer.
    fn finished(&self) -> Spectrum {
        let is_shop = self.trial.main_operation() == "place";
        self.times(if is_shop { Metric::Completed } else { Metric::Response }, |o| o == "ok")
    }

    pub(super) fn response(&self) -> [Option<f64>; 3] {
        let felt = self.times(Metric::Response, |_| true);
        [0.5, 0.9, 0.99].map(|q| felt.quantile(q).map(|us| us as f64 / 1e3))
    }

    pub(super) fn completed(&self) -> [Option<f64>; 3] {
        let finished = self.finished();
        let acknowledged = self.times(Metric::Response, |o| o == "ok").count();
        let endless = acknowledged.saturating_sub(finished.count());
        [0.5, 0.9, 0.99].map(|q| {
            let enough = finished.count() + endless >= Spectrum::least(q);
            let ms = finished.quantile_with_endless(q, endless).map(|us| us as f64 / 1e3);
            enough.then(|| ms.unwrap_or(f64::INFINITY))
        })
    }

    /// Reasons to believe nothing of it: instrument and machine.
    pub(super) fn doubts(&self) -> Vec<String> {
        let reasons = &self.trial.manifest.validity.reasons;
        let mut doubts: Vec<String> =
            validity::of_instrument(reasons).map(Reason::to_string).collect();
        let limits = self.trial.manifest.limits;
        let needed = self.rate_per_s() * limits.objective_s;
        if self.dropped() > 0 && f64::from(limits.in_flight) < needed {
            doubts.push(format!(
                "{} requests were dropped: limits.in_flight is {}, fewer than may be open while the objective is kept (rate × objective, {needed:.0})",
                self.dropped(),
                limits.in_flight
            ));
        } else if self.dropped() > 0 && self.most_open() < u64::from(limits.in_flight) / 2 {
            doubts.push(format!(
                "{} requests were dropped while fewer than half of limits.in_flight were open: no descriptor or port was left",
                self.dropped()
            ));
        }
        if let Err(error) = &self.told {
            doubts.push(format!("open orders are not known: {error}"));
        }
        if self.main.offered == 0 && doubts.is_empty() {
            doubts
                .push(format!("no {} arrived: give a longer --step", self.trial.main_operation()));
        }
        doubts
    }

    /// The other requests second by second: how many there were, and how many were not answered; and which
    /// operations lack more than `share` allows.
    fn others(&self, share: f64) -> (Vec<(f64, f64)>, String) {
        let mut seconds = BTreeMap::<u32, (f64, f64)>::new();
        for row in &self.trial.timeline {
            let inside = (self.phase.from_s..self.phase.to_s).contains(&row.t_s);
            if inside && row.operation != self.trial.main_operation() {
                let second = seconds.entry(row.t_s).or_default();
                second.0 += row.offered as f64;
                second.1 += row.offered.saturating_sub(row.ok) as f64;
            }
        }
        let lacking = self.others.iter().filter(|(_, one)| one.value(one.ok) < share);
        let name = |(operation, one): (&&str, &Share)| {
            format!("{operation} {:.0} %", one.value(one.ok) * 100.0)
        };
        let which: Vec<String> = lacking.map(name).collect();
        (seconds.into_values().collect(), which.join(", "))
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

    /// All other requests together.
    pub(super) fn all_others(&self) -> Share {
        self.others.values().fold(Share::default(), |sum, share| Share {
            offered: sum.offered + share.offered,
            ok: sum.ok + share.ok,
        })
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

    fn dropped(&self) -> u64 {
        self.trial.manifest.requests.values().map(|counts| counts.dropped).sum()
    }

    /// The most requests that were open at the end of a second.
    fn most_open(&self) -> u64 {
        let mut open = std::collections::BTreeMap::<u32, u64>::new();
        for row in &self.trial.timeline {
            *open.entry(row.t_s).or_default() += row.in_flight;
        }
        open.into_values().max().unwrap_or(0)
    }
}

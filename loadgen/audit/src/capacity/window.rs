//! The measured window of a trial at one rate, read off its finished record: what came, what was answered, and
//! what speaks of the instrument. What it says of the system is judged elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use crate::validity;
use record::latency::Metric;
use record::read::{Spectrum, Trial};
use record::{Operation, Outcome, Phase, Reason};

use super::keeps::{Keeps, ToldBy};
use super::open::{self, Second};

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
    others: BTreeMap<Operation, Share>,
    /// Of the main operation, within the objective.
    pub(super) in_time: u64,
    /// Second by second, or why that is not known; empty where it is not asked for.
    pub(super) told: Result<Vec<Second>, String>,
}

fn is_ok(outcome: Outcome) -> bool {
    outcome == Outcome::Ok
}

impl<'t> Window<'t> {
    pub(super) fn of(folder: &Path, trial: &'t Trial, keeps: &Keeps) -> Self {
        let phase = trial.manifest.phases.first().cloned().unwrap_or_default();
        let seconds = f64::from(phase.to_s.saturating_sub(phase.from_s).max(1));
        let (mut main, mut others) = (Share::default(), BTreeMap::<Operation, Share>::new());
        for row in trial.timeline.iter().filter(|r| (phase.from_s..phase.to_s).contains(&r.t_s)) {
            let share = if row.operation == trial.main_operation() {
                &mut main
            } else {
                others.entry(row.operation).or_default()
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
    pub(super) fn orders_per_s(&self, keeps: &Keeps) -> f64 {
        let meant = keeps.main_share.map(|share| share * self.rate_per_s());
        meant.unwrap_or_else(|| self.offered_per_s())
    }

    pub(super) fn offered_per_s(&self) -> f64 {
        self.main.offered as f64 / self.seconds
    }

    pub(super) fn rate_per_s(&self) -> f64 {
        self.trial.manifest.offered.first().map_or(0.0, |corner| corner.rate_per_s)
    }

    fn times(&self, metric: Metric, wanted: fn(Outcome) -> bool) -> Spectrum {
        self.trial.latencies.times(0, self.trial.main_operation(), metric, wanted)
    }

    /// From the intended start to the final state; without orders, to the ok answer.
    fn finished(&self) -> Spectrum {
        let is_shop = self.trial.has_orders();
        self.times(if is_shop { Metric::Completed } else { Metric::Response }, is_ok)
    }

    pub(super) fn response(&self) -> [Option<f64>; 3] {
        let felt = self.times(Metric::Response, |_| true);
        [0.5, 0.9, 0.99].map(|q| felt.quantile(q).map(|us| us as f64 / 1e3))
    }

    pub(super) fn completed(&self) -> [Option<f64>; 3] {
        let finished = self.finished();
        let acknowledged = self.times(Metric::Response, is_ok).count();
        let endless = acknowledged.saturating_sub(finished.count());
        [0.5, 0.9, 0.99].map(|q| {
            let enough = finished.count() + endless >= Spectrum::least(q);
            let ms = finished.quantile_with_endless(q, endless).map(|us| us as f64 / 1e3);
            enough.then(|| ms.unwrap_or(f64::INFINITY))
        })
    }

    /// What makes requests look worse than they were, and never better (docs/methodology/doubt.md).
    pub(super) fn blurs(&self) -> Vec<String> {
        self.trial.manifest.validity.blurs.iter().map(Reason::to_string).collect()
    }

    /// The part of an operation's arrivals that failed or came too late perhaps by that alone, of the operation with
    /// most; all, where the system's own cores were used by others.
    pub(super) fn touched(&self) -> f64 {
        let is_everywhere = |reason: &Reason| matches!(reason, Reason::Rivals { .. });
        if self.trial.manifest.validity.blurs.iter().any(is_everywhere) {
            return 1.0;
        }
        let within = self.phase.from_s..self.phase.to_s;
        let mut all = BTreeMap::<Operation, (Share, u64)>::new();
        for row in self.trial.timeline.iter().filter(|row| within.contains(&row.t_s)) {
            let (share, touched) = all.entry(row.operation).or_default();
            share.offered += row.offered;
            *touched += row.touched_failed.max(row.touched_missed).unwrap_or(0);
        }
        all.into_values().map(|(share, touched)| share.value(touched)).fold(0.0, f64::max)
    }

    /// Reasons to believe nothing of it: instrument and machine.
    pub(super) fn doubts(&self) -> Vec<String> {
        let reasons = self.trial.manifest.validity.reasons.iter();
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
    pub(super) fn others(&self, share: f64) -> (Vec<(f64, f64)>, String) {
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
        let name = |(operation, one): (&Operation, &Share)| {
            format!("{operation} {:.0} %", one.value(one.ok) * 100.0)
        };
        let which: Vec<String> = lacking.map(name).collect();
        (seconds.into_values().collect(), which.join(", "))
    }

    /// All other requests together.
    pub(super) fn all_others(&self) -> Share {
        self.others.values().fold(Share::default(), |sum, share| Share {
            offered: sum.offered + share.offered,
            ok: sum.ok + share.ok,
        })
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

//! What one trial at one rate says, read off its finished record. It knows no search.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::latency::Metric;
use crate::record::read::{Spectrum, Trial};
use crate::record::{Answer, Phase, TimelineRow};
use crate::threshold::Threshold;
use crate::validity;

use super::search::Judged;

/// A trial's open orders are a Poisson number in a system that keeps up (M/G/∞): a difference of
/// means counts as growth above this many of its standard deviations.
const GROWTH_DEVIATIONS: f64 = 3.0;

/// When a rate counts as kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keeps {
    /// The share of the offered orders that must complete within the objective.
    pub share: f64,
    /// The scenario's thresholds that name no phase; all must be met.
    pub thresholds: Vec<Threshold>,
}

/// A row of `capacity.csv`: one trial at one rate. All but the last three columns are of the measured
/// window; times are those of the main operation, empty if the sample is too small, `inf` if the
/// percentile never ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The system.
    pub system: String,
    /// Arrivals per second, of all operations.
    pub rate_per_s: u32,
    /// The repetition of this rate, from 1.
    pub trial: u32,
    /// Whether it says anything of the system.
    pub valid: bool,
    /// What it says.
    pub judged: Judged,
    /// Why it is broken or invalid.
    pub reason: String,
    /// Arrivals of the main operation per second.
    pub offered_per_s: f64,
    /// Of these, completed within the objective.
    pub goodput_per_s: f64,
    /// Accepted or open orders more per second, from the first to the last third.
    pub growth_per_s: f64,
    /// Response time (all outcomes), median, ms.
    pub response_p50_ms: Option<f64>,
    /// 90th percentile, ms.
    pub response_p90_ms: Option<f64>,
    /// 99th percentile, ms.
    pub response_p99_ms: Option<f64>,
    /// Time until completed (of the acknowledged), median, ms.
    pub completed_p50_ms: Option<f64>,
    /// 90th percentile, ms.
    pub completed_p90_ms: Option<f64>,
    /// 99th percentile, ms.
    pub completed_p99_ms: Option<f64>,
    /// System CPU per completed order over the whole trial, ms.
    pub cpu_ms_per_order: Option<f64>,
    /// Sent minus intended, 99th percentile, µs.
    pub send_lag_p99_us: u64,
    /// Second 0, µs since the epoch.
    pub started_at_us: i64,
    /// Stopped before its end: neither for nor against.
    #[serde(skip)]
    pub interrupted: bool,
    /// Something wrong has happened to an order; that some are left over from an overload is not it.
    #[serde(skip)]
    pub violated: bool,
}

impl Step {
    /// Judges a record.
    #[must_use]
    pub fn of(trial: &Trial, keeps: &Keeps) -> Self {
        let manifest = &trial.manifest;
        let window = Window::of(trial);
        let (mut doubts, troubles) = (window.doubts(), window.troubles(keeps));
        if troubles.is_empty() {
            doubts.extend(window.too_few(keeps));
        }
        let judged = match (doubts.is_empty(), troubles.is_empty()) {
            (false, _) => Judged::Invalid,
            (true, false) => Judged::Broken,
            (true, true) => Judged::Kept,
        };
        let reasons = if judged == Judged::Invalid { doubts } else { troubles };
        let [response_p50_ms, response_p90_ms, response_p99_ms] = window.response();
        let [completed_p50_ms, completed_p90_ms, completed_p99_ms] = window.completed();
        Self {
            system: manifest.system.clone(),
            rate_per_s: window.rate_per_s().round() as u32,
            trial: manifest.trial,
            valid: judged != Judged::Invalid,
            judged,
            reason: reasons.join("; "),
            offered_per_s: window.main.offered as f64 / window.seconds,
            goodput_per_s: window.in_time as f64 / window.seconds,
            growth_per_s: window.growth().0,
            response_p50_ms,
            response_p90_ms,
            response_p99_ms,
            completed_p50_ms,
            completed_p90_ms,
            completed_p99_ms,
            cpu_ms_per_order: manifest.cost.cpu_ms_per_completed_order,
            send_lag_p99_us: manifest.generator.lag_p99_us,
            started_at_us: manifest.started_at_us,
            interrupted: manifest.validity.interrupted,
            violated: trial.audit.as_ref().is_some_and(|v| v.safety == Answer::False),
        }
    }
}

/// Arrivals and ok answers.
#[derive(Clone, Copy, Default)]
struct Share {
    offered: u64,
    ok: u64,
}

impl Share {
    fn value(self, part: u64) -> f64 {
        part as f64 / self.offered.max(1) as f64
    }
}

/// The measured window of a trial.
struct Window<'t> {
    trial: &'t Trial,
    phase: Phase,
    seconds: f64,
    main: Share,
    /// By their words.
    others: BTreeMap<&'t str, Share>,
    /// Of the main operation, within the objective.
    in_time: u64,
}

impl<'t> Window<'t> {
    fn of(trial: &'t Trial) -> Self {
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
        let mut window = Self { trial, phase, seconds, main, others, in_time: 0 };
        window.in_time = window.finished().count_up_to(objective_us);
        window
    }

    fn rate_per_s(&self) -> f64 {
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

    fn response(&self) -> [Option<f64>; 3] {
        let felt = self.times(Metric::Response, |_| true);
        [0.5, 0.9, 0.99].map(|q| felt.quantile(q).map(|us| us as f64 / 1e3))
    }

    fn completed(&self) -> [Option<f64>; 3] {
        let finished = self.finished();
        let acknowledged = self.times(Metric::Response, |o| o == "ok").count();
        let endless = acknowledged.saturating_sub(finished.count());
        [0.5, 0.9, 0.99].map(|q| {
            let enough = finished.count() + endless >= Spectrum::least(q);
            let ms = finished.quantile_with_endless(q, endless).map(|us| us as f64 / 1e3);
            enough.then(|| ms.unwrap_or(f64::INFINITY))
        })
    }

    /// Orders that were sent and are not final, more per second and in all, between the means of the
    /// window's first and last third; and what chance alone may make of that.
    fn growth(&self) -> (f64, f64, f64) {
        let inside = |row: &&TimelineRow| {
            row.operation == self.trial.main_operation()
                && (self.phase.from_s..self.phase.to_s).contains(&row.t_s)
        };
        let open: Vec<f64> = self
            .trial
            .timeline
            .iter()
            .filter(inside)
            .map(|row| (row.in_flight + row.backlog) as f64)
            .collect();
        let third = open.len() / 3;
        if third == 0 {
            return (0.0, 0.0, 0.0);
        }
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&open[..third]), mean(&open[open.len() - third..]));
        let apart_s = (open.len() - third) as f64;
        let chance = GROWTH_DEVIATIONS * (2.0 * first.max(1.0)).sqrt();
        ((last - first) / apart_s, last - first, chance)
    }

    /// Reasons to believe nothing of it: instrument and machine.
    fn doubts(&self) -> Vec<String> {
        let reasons = &self.trial.manifest.validity.reasons;
        let mut doubts: Vec<String> = validity::of_instrument(reasons).cloned().collect();
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
        if self.main.offered == 0 && doubts.is_empty() {
            doubts
                .push(format!("no {} arrived: give a longer --step", self.trial.main_operation()));
        }
        doubts
    }

    /// Whether too few of the other requests were answered, all together; and which ones.
    fn refused(&self, least: f64) -> Option<String> {
        let all = self.others.values().fold(Share::default(), |sum, share| Share {
            offered: sum.offered + share.offered,
            ok: sum.ok + share.ok,
        });
        let percent = |share: &Share| share.value(share.ok) * 100.0;
        let which = self.others.iter().filter(|(_, share)| share.value(share.ok) < least);
        let which = which.map(|(operation, share)| format!("{operation} {:.0} %", percent(share)));
        (all.offered > 0 && all.value(all.ok) < least).then(|| {
            let which = which.collect::<Vec<_>>().join(", ");
            format!("of the other requests {:.2} % were answered ({which})", percent(&all))
        })
    }

    /// Reasons to say that the system did not keep the objective.
    fn troubles(&self, keeps: &Keeps) -> Vec<String> {
        let mut troubles = Vec::new();
        let share = self.main.value(self.in_time);
        if share < keeps.share {
            let objective = self.trial.manifest.limits.objective_s;
            troubles.push(format!(
                "{:.2} % completed within {objective} s; asked are {} %",
                share * 100.0,
                keeps.share * 100.0
            ));
        }
        troubles.extend(self.refused(keeps.share));
        let (per_s, grown, chance) = self.growth();
        let offered_per_s = self.main.offered as f64 / self.seconds;
        if per_s > (1.0 - keeps.share) * offered_per_s && grown > chance {
            troubles.push(format!("open orders grew by {per_s:.1} per second"));
        }
        troubles.extend(self.overload());
        let judged = keeps.thresholds.iter().filter(|t| !t.is_unknown(self.trial));
        for met in judged.flat_map(|t| t.judge(self.trial)).filter(|m| !m.met) {
            let found = met.found(|found| found.to_string());
            troubles.push(format!("{} ({}): found {found}", met.expect, met.operation));
        }
        troubles
    }

    /// Thresholds that the window is too short for. Where something else is broken this says nothing
    /// for the system: it may have answered too few.
    fn too_few(&self, keeps: &Keeps) -> Vec<String> {
        let unknown = keeps.thresholds.iter().filter(|t| t.is_unknown(self.trial));
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
            reasons.filter(|r| validity::comes_of_overload(r)).cloned().collect();
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

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged = match self.judged {
            Judged::Kept => "kept   ",
            Judged::Broken => "BROKEN ",
            Judged::Invalid => "INVALID",
        };
        let time = |ms: Option<f64>| ms.map_or("–".to_owned(), |ms| format!("{ms:.1}"));
        let share = self.goodput_per_s / self.offered_per_s.max(f64::MIN_POSITIVE) * 100.0;
        write!(
            f,
            "{:<20} {:>6}/s {:>2}  {judged}  in time {share:>6.2} %  completed p50 {:>7} p99 {:>7} ms  lag p99 {:>5} µs  {}",
            self.system,
            self.rate_per_s,
            self.trial,
            time(self.completed_p50_ms),
            time(self.completed_p99_ms),
            self.send_lag_p99_us,
            self.reason
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Finding, Verdict};
    use crate::report::fixture;

    /// A trial of the invented monolith, changed; its judgement and its reason.
    #[track_caller]
    fn check(rate: u32, change: impl FnOnce(&mut Trial), judged: Judged, reasons: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let at = fixture::write_step(folder.path(), (0, rate, 1), 0, None).unwrap();
        let mut trial = Trial::read(&at).unwrap().unwrap();
        change(&mut trial);
        let step = Step::of(&trial, &keeps("completed p(50) < 1s"));
        assert_eq!(step.judged, judged, "{step}");
        assert_eq!(step.reason.is_empty(), reasons.is_empty(), "{step}");
        assert!(reasons.iter().all(|reason| step.reason.contains(reason)), "{step}");
    }

    fn keeps(threshold: &str) -> Keeps {
        let expect = threshold.parse().unwrap();
        let thresholds = vec![Threshold { expect, operation: None, phase: None }];
        Keeps { share: 0.99, thresholds }
    }

    /// A percentile that has too few values is no fault of the system.
    #[test]
    fn a_sample_that_is_too_small_breaks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let judged = |rate, threshold| {
            let at = fixture::write_step(folder.path(), (0, rate, 1), 0, None).unwrap();
            let step = Step::of(&Trial::read(&at).unwrap().unwrap(), &keeps(threshold));
            (step.judged, step.reason)
        };
        let (too_few, reason) = judged(25, "p(99) < 30s");
        assert_eq!(too_few, Judged::Invalid, "{reason}");
        assert!(reason.contains("p(99) < 30s: not known from fewer than 368"), "{reason}");
        assert_eq!(judged(300, "p(99) < 30s").0, Judged::Kept);
        // Orders that never end are no lack of values, and what breaks otherwise stays broken.
        assert_eq!(judged(1_300, "completed max < 30s").0, Judged::Broken);
        assert_eq!(judged(1_300, "p(99.999) < 30s").0, Judged::Broken);
    }

    fn doubt(trial: &mut Trial, reason: &str) {
        trial.manifest.validity.reasons.push(reason.to_owned());
    }

    fn drop_one(trial: &mut Trial, in_flight: u32) {
        doubt(trial, "1 requests were dropped: more than limits.in_flight were open");
        trial.manifest.limits.in_flight = in_flight;
        trial.manifest.requests.get_mut("place").unwrap().dropped = 1;
    }

    #[test]
    fn a_rate_is_kept_or_broken_for_a_reason() {
        check(300, |_| (), Judged::Kept, &[]);
        let overload = [
            "0.00 % completed within 1 s; asked are 99 %",
            "open orders grew by",
            "completed p(50) < 1s (place)",
        ];
        check(1_300, |_| (), Judged::Broken, &overload);
        // Within a patient objective only the growing backlog shows that it cannot go on.
        let patient = |t: &mut Trial| t.manifest.limits.objective_s = 1e3;
        check(1_100, patient, Judged::Broken, &["open orders grew by"]);
        let others = |t: &mut Trial| {
            t.timeline.iter_mut().filter(|r| r.operation == "get").for_each(|r| r.ok = 0);
        };
        check(
            300,
            others,
            Judged::Broken,
            &["of the other requests 0.00 % were answered (get 0 %)"],
        );
        let pending = "orders were still pending at the end of the drain";
        check(300, |t| doubt(t, pending), Judged::Broken, &[pending]);
        let lost = |t: &mut Trial| {
            let found = Finding { class: "lost".to_owned(), count: 2, ..Finding::default() };
            let verdict = Answer::False;
            t.audit = Some(Verdict { verdict, violations: vec![found], ..Verdict::default() });
        };
        check(300, lost, Judged::Broken, &["the audit is false: 2 lost"]);
    }

    #[test]
    fn a_system_that_dies_is_broken_although_its_audit_cannot_judge() {
        let died = "the process monolith (signal: 9) ended by itself";
        let silent = "the audit could not judge: the ledger cannot be read: connection refused";
        let pending = "orders were still pending at the end of the drain";
        let dies = |t: &mut Trial| [died, pending, silent].iter().for_each(|r| doubt(t, r));
        check(300, dies, Judged::Broken, &[died, pending]);
        check(300, |t| doubt(t, silent), Judged::Invalid, &[silent]);
        let late = "send lag p99 is 4100 µs; the scenario allows 1000 µs";
        let dies_late = |t: &mut Trial| [died, silent, late].iter().for_each(|r| doubt(t, r));
        check(300, dies_late, Judged::Invalid, &[late]);
    }

    #[test]
    fn what_the_instrument_did_is_not_the_systems_fault() {
        let late = "send lag p99 is 4100 µs; the scenario allows 1000 µs";
        check(300, |t| doubt(t, late), Judged::Invalid, &[late]);
        check(1_300, |t| doubt(t, late), Judged::Invalid, &[late]);
        check(300, |t| drop_one(t, 200), Judged::Invalid, &["limits.in_flight is 200"]);
        check(300, |t| drop_one(t, 4_000), Judged::Invalid, &["no descriptor or port"]);
        check(1_300, |t| drop_one(t, 1_500), Judged::Broken, &["1 requests were dropped"]);
        check(300, |t| t.timeline.clear(), Judged::Invalid, &["no place arrived"]);
    }
}

//! What one trial at one rate says, read off its finished record. It knows no search.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use record::Answer;
use record::read::Trial;

use super::findings::Findings;
use super::search::Judged;
use super::used::{self, Used};
use super::window::Window;

pub use super::keeps::{Keeps, ToldBy};

/// A row of `capacity.csv`: one trial at one rate. All but the last three columns are of the measured
/// window; times are those of the main operation, empty if the sample is too small, `inf` if the
/// percentile never ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialAtRate {
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
    /// Open orders more per second, averaged over its last second and its first; in older records over
    /// thirds.
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
    /// Who used the cores in the window, most first: roles and cores, `auth 0.71; orders 0.20`.
    pub used: String,
    /// Sent minus intended, 99th percentile, µs.
    pub send_lag_p99_us: u64,
    /// Second 0, µs since the epoch.
    pub started_at_us: i64,
    /// Stopped before its end: neither for nor against.
    #[serde(skip)]
    pub interrupted: bool,
    /// The same as `used`.
    #[serde(skip)]
    pub by_role: Vec<Used>,
    /// Something wrong has happened to an order; that some are left over from an overload is not it.
    #[serde(skip)]
    pub violated: bool,
}

impl TrialAtRate {
    /// Judges a record, which was read from `folder`.
    #[must_use]
    pub fn of(folder: &Path, trial: &Trial, keeps: &Keeps) -> Self {
        let manifest = &trial.manifest;
        let window = Window::of(folder, trial, keeps);
        let mut doubts = window.doubts();
        let Findings { troubles, unclear } = window.findings(keeps);
        if troubles.is_empty() {
            doubts.extend(window.too_few(keeps));
        }
        let (judged, reasons) = match (doubts.is_empty(), troubles.is_empty(), unclear.is_empty()) {
            (false, ..) => (Judged::Invalid, doubts),
            (true, false, _) => (Judged::Broken, troubles),
            (true, true, false) => (Judged::Unclear, unclear),
            (true, true, true) => (Judged::Kept, Vec::new()),
        };
        // What was kept although the machine was late is kept. What was broken is, if it would be without
        // all that the machine may have touched.
        let blurs = window.blurs();
        let (judged, reasons) = match judged {
            Judged::Broken if !blurs.is_empty() => {
                let share = keeps.share - window.touched();
                let spared =
                    window.findings(&Keeps { share, thresholds: Vec::new(), ..keeps.clone() });
                match spared.troubles.is_empty() {
                    true => (Judged::Unclear, [reasons, blurs].concat()),
                    false => (Judged::Broken, spared.troubles),
                }
            }
            judged => (judged, reasons),
        };
        let by_role = used::of(trial, &window.phase);
        let [response_p50_ms, response_p90_ms, response_p99_ms] = window.response();
        let [completed_p50_ms, completed_p90_ms, completed_p99_ms] = window.completed();
        Self {
            system: manifest.system.clone(),
            rate_per_s: window.rate_per_s().round() as u32,
            trial: manifest.trial,
            valid: judged != Judged::Invalid,
            judged,
            reason: reasons.join("; "),
            offered_per_s: window.offered_per_s(),
            goodput_per_s: window.in_time as f64 / window.seconds,
            growth_per_s: window.growth_per_s(keeps),
            response_p50_ms,
            response_p90_ms,
            response_p99_ms,
            completed_p50_ms,
            completed_p90_ms,
            completed_p99_ms,
            cpu_ms_per_order: manifest.cost.cpu_ms_per_completed_order,
            used: used::text(&by_role),
            send_lag_p99_us: manifest.generator.lag_p99_us,
            started_at_us: manifest.started_at_us,
            interrupted: manifest.validity.interrupted,
            by_role,
            violated: trial.audit.as_ref().is_some_and(|v| v.safety == Answer::False),
        }
    }
}

impl fmt::Display for TrialAtRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged = match self.judged {
            Judged::Kept => "kept   ",
            Judged::Broken => "BROKEN ",
            Judged::Unclear => "unclear",
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
    use record::{Finding, Operation, Reason, Verdict};
    use scenario::Threshold;

    /// A trial of the invented monolith, changed; its judgement and its reason.
    #[track_caller]
    fn check(rate: u32, change: impl FnOnce(&mut Trial), judged: Judged, reasons: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let at = record_fixture::write_step(folder.path(), (0, rate, 1), 0, None).unwrap();
        let mut trial = Trial::read(&at).unwrap().unwrap();
        change(&mut trial);
        let step = TrialAtRate::of(&at, &trial, &keeps("completed p(50) < 1s"));
        assert_eq!(step.judged, judged, "{step}");
        assert_eq!(step.reason.is_empty(), reasons.is_empty(), "{step}");
        assert!(reasons.iter().all(|reason| step.reason.contains(reason)), "{step}");
    }

    fn keeps(threshold: &str) -> Keeps {
        let expect = threshold.parse().unwrap();
        let thresholds = vec![Threshold { expect, operation: None, phase: None }];
        Keeps { share: 0.99, thresholds, main_share: Some(0.75), told_by: ToldBy::Seconds }
    }

    /// A percentile that has too few values is no fault of the system.
    #[test]
    fn a_sample_that_is_too_small_breaks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let judged = |rate, threshold| {
            let at = record_fixture::write_step(folder.path(), (0, rate, 1), 0, None).unwrap();
            let step = TrialAtRate::of(&at, &Trial::read(&at).unwrap().unwrap(), &keeps(threshold));
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
        trial.manifest.validity.reasons.push(Reason::parse(reason));
    }

    fn drop_one(trial: &mut Trial, in_flight: u32) {
        doubt(trial, "1 requests were dropped: more than limits.in_flight were open");
        trial.manifest.limits.in_flight = in_flight;
        trial.manifest.requests.get_mut(&Operation::Place).unwrap().dropped = 1;
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
            t.timeline.iter_mut().filter(|r| r.operation == Operation::Get).for_each(|r| r.ok = 0);
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

    /// As the issue had it: five seconds, one sample against one other.
    #[test]
    fn a_window_of_a_few_seconds_may_be_unclear_and_an_older_record_is_judged_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let at = record_fixture::write_step(folder.path(), (0, 960, 1), 0, None).unwrap();
        let mut trial = Trial::read(&at).unwrap().unwrap();
        trial.manifest.phases[0].to_s = 15;
        let now = keeps("completed p(50) < 1s");
        let step = TrialAtRate::of(&at, &trial, &now);
        assert_eq!(step.judged, Judged::Unclear, "{step}");
        assert!(step.valid && step.reason.contains("open orders may have grown by"), "{step}");
        let older: Keeps = serde_json::from_str("{\"share\":0.99,\"thresholds\":[]}").unwrap();
        assert_eq!((older.told_by, older.main_share), (ToldBy::Thirds, None));
        std::fs::remove_file(at.join("history.csv.zst")).unwrap();
        let judged = TrialAtRate::of(&at, &trial, &older).judged;
        assert!(matches!(judged, Judged::Kept | Judged::Broken), "{judged:?}");
        assert_eq!(TrialAtRate::of(&at, &trial, &now).judged, Judged::Invalid);
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

    /// The machine was late beside some of the requests: that makes a system look worse, never better.
    #[test]
    fn a_blurred_trial_that_kept_the_rate_kept_it_and_one_that_broke_it_may_be_innocent() {
        let blurred = |touched: u64| {
            move |t: &mut Trial| {
                t.manifest
                    .validity
                    .blurs
                    .push(Reason::SendLag { p99_us: 4_100, allowed_us: 1_000 });
                let place = t.timeline.iter_mut().filter(|r| r.operation == Operation::Place);
                place.for_each(|r| r.touched_missed = Some(r.offered * touched / 100));
            }
        };
        check(300, blurred(5), Judged::Kept, &[]);
        // Those that succeeded although they were touched excuse nothing.
        let succeeded = |t: &mut Trial| {
            blurred(0)(t);
            t.timeline.iter_mut().for_each(|r| r.touched_ok = Some(r.offered));
        };
        check(1_300, succeeded, Judged::Broken, &["0.00 % completed within 1 s"]);
        check(1_300, blurred(5), Judged::Broken, &["0.00 % completed within 1 s"]);
        check(1_300, blurred(100), Judged::Unclear, &["0.00 % completed within 1 s", "send lag"]);
        let rivals = |t: &mut Trial| {
            t.manifest.validity.blurs.push(Reason::Rivals { cores: 0.9, trusted: 0.1 });
        };
        check(300, rivals, Judged::Kept, &[]);
        check(1_300, rivals, Judged::Unclear, &["open orders grew by"]);
        let died = "the process monolith (signal: 9) ended by itself";
        let dies = |t: &mut Trial| {
            rivals(t);
            doubt(t, died);
        };
        check(300, dies, Judged::Broken, &[died]);
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

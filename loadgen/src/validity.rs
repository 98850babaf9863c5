//! Whether a trial's numbers may be believed, and if not, why: one reason per doubt.

use crate::attack::Summary;
use crate::record::{Answer, FaultRow, Manifest, Validity, Verdict};

/// Above this the sending thread may have delayed answers by its own work.
const CPU_SHARE_MAX: f64 = 0.8;
/// Little's law holds exactly over a whole run, up to what the recorder lost or doubled.
const LITTLE_MAX: f64 = 0.1;
const STEAL_SHARE_MAX: f64 = 0.05;
/// Completion times come from another process's wall clock.
const CLOCK_DRIFT_MAX_US: i64 = 5_000;

/// Parts of the reasons that speak of a system under too much load rather than of the instrument.
const OVERLOAD: [&str; 3] =
    [" requests were dropped", "orders were still pending", " ended by itself"];

/// Whether a reason that [`judge`] gave would be a finding where too much load is what is tried.
#[must_use]
pub fn comes_of_overload(reason: &str) -> bool {
    OVERLOAD.iter().any(|part| reason.contains(part))
}

/// What is known of a trial.
pub struct Evidence<'a> {
    /// Its manifest, complete but for the validity.
    pub manifest: &'a Manifest,
    /// The scenario's bound on the 99th percentile of the send lag.
    pub send_lag_max_us: u64,
    /// The engine's account.
    pub summary: &'a Summary,
    /// The recorder's sum of times from sent to done, s.
    pub service_s: f64,
    /// The faults.
    pub faults: &'a [FaultRow],
    /// The audit.
    pub verdict: &'a Verdict,
    /// Whether nothing was pending at the end of the drain.
    pub drained: bool,
    /// Processes that ended by themselves.
    pub ended: &'a [String],
    /// What only the final sweep took back.
    pub left: &'a [String],
    /// Whether generator and systems had different cores.
    pub apart: bool,
}

/// Collects every reason not to believe a trial.
#[must_use]
pub fn judge(e: &Evidence<'_>) -> Validity {
    let mut reasons = Vec::new();
    let mut doubt = |condition: bool, reason: String| {
        if condition {
            reasons.push(reason);
        }
    };
    let interrupted = e.summary.interrupted;
    doubt(interrupted, "interrupted before its end".to_owned());
    let g = &e.manifest.generator;
    doubt(
        g.lag_p99_us > e.send_lag_max_us,
        format!(
            "send lag p99 is {} µs; the scenario allows {} µs",
            g.lag_p99_us, e.send_lag_max_us
        ),
    );
    doubt(
        g.cpu_share > CPU_SHARE_MAX,
        format!(
            "the generator used {:.0} % of its core; at most {:.0} % is trusted",
            g.cpu_share * 100.0,
            CPU_SHARE_MAX * 100.0
        ),
    );
    doubt(
        g.steal_share > STEAL_SHARE_MAX,
        format!("the hypervisor took {:.1} % of the machine's time", g.steal_share * 100.0),
    );
    doubt(
        g.clock_drift_us.abs() > CLOCK_DRIFT_MAX_US,
        format!("wall and monotonic clock moved apart by {} µs", g.clock_drift_us),
    );
    doubt(!e.apart, "generator and system share their only core".to_owned());
    let dropped: u64 = e.manifest.requests.values().map(|r| r.dropped).sum();
    doubt(
        dropped > 0,
        format!(
            "{dropped} requests were dropped: more than limits.in_flight were open, or no descriptor or port was left"
        ),
    );
    for (operation, counts) in &e.manifest.requests {
        doubt(!counts.closes(), format!("the ledger of {operation} does not close: {counts:?}"));
    }
    let off = (e.summary.in_flight_area_s - e.service_s).abs() / e.service_s.max(1e-9);
    doubt(
        e.service_s > 0.0 && off > LITTLE_MAX,
        format!("Little's law is off by {:.0} %: recorder and sender disagree", off * 100.0),
    );
    for reason in harm(e) {
        doubt(true, reason);
    }
    doubt(
        !e.drained && !interrupted,
        "orders were still pending at the end of the drain".to_owned(),
    );
    doubt(
        e.verdict.verdict == Answer::Unknown && !interrupted,
        format!("the audit could not judge: {}", e.verdict.reasons.join("; ")),
    );
    Validity { valid: reasons.is_empty(), interrupted, reasons }
}

/// What went wrong with the faults, or without any.
fn harm(e: &Evidence<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    for fault in e.faults {
        let name = format!("fault {} on {}", fault.kind, fault.harm);
        if fault.effective_s.is_none() {
            reasons.push(format!("{name}: {}", fault.effect_proof));
        } else if fault.healed_s.is_none() {
            reasons.push(format!("{name}: {}", fault.heal_proof));
        }
    }
    reasons.extend(e.ended.iter().map(|process| format!("the process {process} ended by itself")));
    let left = e.left.iter();
    reasons
        .extend(left.map(|text| format!("something was left after the faults' healing: {text}")));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RequestCounts;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Manifest, &mut Summary, &mut FaultRow), expected: &str) {
        let mut manifest = Manifest::default();
        let counts = RequestCounts { scheduled: 3, ok: 2, failed: 1, ..RequestCounts::default() };
        manifest.requests.insert("place".to_owned(), counts);
        let mut summary = Summary { in_flight_area_s: 2.0, ..Summary::default() };
        let mut fault =
            FaultRow { effective_s: Some(1.0), healed_s: Some(2.0), ..FaultRow::default() };
        change(&mut manifest, &mut summary, &mut fault);
        let verdict = Verdict { verdict: Answer::True, ..Verdict::default() };
        let validity = judge(&Evidence {
            manifest: &manifest,
            send_lag_max_us: 1_000,
            summary: &summary,
            service_s: 2.0,
            faults: &[fault],
            verdict: &verdict,
            drained: true,
            ended: &[],
            left: &[],
            apart: true,
        });
        assert_eq!(validity.valid, expected.is_empty(), "{validity:?}");
        if !expected.is_empty() {
            assert_eq!(validity.reasons.len(), 1, "{validity:?}");
            assert!(validity.reasons[0].contains(expected), "{validity:?}");
        }
    }

    #[test]
    fn each_doubt_has_its_reason() {
        check(|_, _, _| (), "");
        check(|m, _, _| m.generator.lag_p99_us = 1_001, "send lag p99 is 1001 µs");
        check(|m, _, _| m.generator.cpu_share = 0.81, "81 % of its core");
        check(|m, _, _| m.generator.steal_share = 0.06, "6.0 %");
        check(|m, _, _| m.generator.clock_drift_us = -5_001, "-5001 µs");
        check(
            |m, _, _| {
                let place = m.requests.get_mut("place").unwrap();
                (place.dropped, place.ok) = (1, 1);
            },
            "1 requests were dropped",
        );
        check(|m, _, _| m.requests.get_mut("place").unwrap().scheduled = 4, "does not close");
        check(|_, s, _| s.in_flight_area_s = 2.5, "Little's law is off by 25 %");
        check(|_, _, f| f.effective_s = None, "fault");
        check(|_, _, f| f.healed_s = None, "fault");
        check(|_, s, _| s.interrupted = true, "interrupted");
    }

    #[test]
    fn only_what_the_system_did_comes_of_overload() {
        let mut manifest = Manifest::default();
        manifest.generator.lag_p99_us = 2_000;
        let counts = RequestCounts { scheduled: 2, ok: 1, dropped: 1, ..RequestCounts::default() };
        manifest.requests.insert("place".to_owned(), counts);
        let validity = judge(&Evidence {
            manifest: &manifest,
            send_lag_max_us: 1_000,
            summary: &Summary::default(),
            service_s: 0.0,
            faults: &[],
            verdict: &Verdict { verdict: Answer::Unknown, ..Verdict::default() },
            drained: false,
            ended: &["orders (signal: 6)".to_owned()],
            left: &[],
            apart: false,
        });
        let (overload, instrument): (Vec<&String>, Vec<&String>) =
            validity.reasons.iter().partition(|reason| comes_of_overload(reason));
        assert_eq!((overload.len(), instrument.len()), (3, 3), "{validity:?}");
    }
}

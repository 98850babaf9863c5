//! Whether a trial's numbers may be believed, and if not, why: one reason per doubt.

use crate::attack::Summary;
use crate::audit::{Class, NOTHING_TO_JUDGE};
use crate::record::{Aborted, Answer, Attempts, FaultRow, Generator, Manifest, Validity, Verdict};

/// Above this the sending thread may have delayed answers by its own work.
const CPU_SHARE_MAX: f64 = 0.8;
/// Little's law holds exactly over a whole run, up to what the recorder lost or doubled.
const LITTLE_MAX: f64 = 0.1;
const STEAL_SHARE_MAX: f64 = 0.05;
/// Above this share of waiting for its core, something else is running on it: what comes at a random
/// instant meets a waiting sender with this probability (PASTA, Wolff 1982), an arrival (as the send
/// lag shows), but also a new connection, or an answer without the kernel's stamp, which it does not.
/// Idle: 0.05 to 0.25 % at 100 to 600 requests/s.
pub(crate) const RUN_QUEUE_SHARE_MAX: f64 = 0.05;
/// The least delay that people notice (Miller 1968, Nielsen 1993). If the measuring core itself once
/// stood still so long, the largest times are not the system's, and too few requests may have met it
/// to show in the send lag's p99. Idle: up to 5 ms.
const HICCUP_MAX_US: u64 = 100_000;
/// Completion times come from another process's wall clock.
const CLOCK_DRIFT_MAX_US: i64 = 5_000;

/// Parts of the reasons that speak of a system under too much load rather than of the instrument.
const OVERLOAD: [&str; 5] =
    ["aborted at ", " requests were dropped", "orders were still pending", ENDED, NOTHING];
const NOTHING: &str = " requests was answered as asked";
const ENDED: &str = " ended by itself";
const NOT_JUDGED: &str = "the audit could not judge";

/// Whether a reason that [`judge`] gave would be a finding where too much load is what is tried.
#[must_use]
pub fn comes_of_overload(reason: &str) -> bool {
    // A condition on the send lag speaks of the instrument.
    OVERLOAD.iter().any(|part| reason.contains(part)) && !reason.contains(": lag ")
}

/// Of the reasons that [`judge`] gave, those that speak of the instrument where too much load is what
/// is tried. An audit cannot judge a system that has died, or that has accepted nothing; that is no
/// doubt beside it.
pub fn of_instrument(reasons: &[String]) -> impl Iterator<Item = &String> {
    let died = reasons.iter().any(|reason| reason.contains(ENDED));
    let nothing = format!("{NOT_JUDGED}: {NOTHING_TO_JUDGE}");
    let silenced = move |reason: &str| {
        (died && reason.starts_with(NOT_JUDGED)) || reason.starts_with(&nothing)
    };
    reasons.iter().filter(move |reason| !comes_of_overload(reason) && !silenced(reason))
}

/// What is known of a trial.
pub struct Evidence<'a> {
    /// Its manifest, complete but for the validity.
    pub manifest: &'a Manifest,
    /// The scenario's bound on the 99th percentile of the send lag.
    pub send_lag_max_us: u64,
    /// The engine's account.
    pub summary: &'a Summary,
    /// The condition of the scenario that ended it early.
    pub aborted: Option<&'a Aborted>,
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
    let interrupted = e.summary.interrupted && e.aborted.is_none();
    if interrupted {
        reasons.push("interrupted before its end".to_owned());
    }
    if let Some(Aborted { at_s, reason }) = e.aborted {
        reasons.push(format!("aborted at {at_s} s: {reason}"));
    }
    reasons.extend(doubts_of_generator(&e.manifest.generator, e.send_lag_max_us));
    let mut doubt = |condition: bool, reason: String| {
        if condition {
            reasons.push(reason);
        }
    };
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
    let nothing = nothing_succeeded(e.manifest).filter(|_| !interrupted);
    doubt(nothing.is_some(), nothing.unwrap_or_default());
    doubt(e.summary.unrecorded > 0, unrecorded(e.summary.unrecorded));
    doubt(e.summary.not_retried > 0, not_retried(e.summary.not_retried));
    let off = (e.summary.in_flight_area_s - e.service_s).abs() / e.service_s.max(1e-9);
    doubt(
        e.service_s > 0.0 && off > LITTLE_MAX,
        format!("Little's law is off by {:.0} %: recorder and sender disagree", off * 100.0),
    );
    for reason in harm(e) {
        doubt(true, reason);
    }
    doubt(
        !e.drained && !interrupted && !only_poison_is_left(e.verdict),
        "orders were still pending at the end of the drain".to_owned(),
    );
    doubt(
        e.verdict.verdict == Answer::Unknown && !interrupted && !asked_for_nothing(e),
        format!("{NOT_JUDGED}: {}", e.verdict.reasons.join("; ")),
    );
    let aborted = e.aborted.cloned();
    Validity { valid: reasons.is_empty(), interrupted, aborted, reasons }
}

/// Kinds of ends that are named.
const NAMED: usize = 3;

/// A load of which every request failed is a wrong address or a dead server more often than a finding.
fn nothing_succeeded(manifest: &Manifest) -> Option<String> {
    let counts = manifest.requests.values();
    let (asked, ok) = counts.fold((0, 0), |(asked, ok), c| (asked + c.scheduled, ok + c.ok));
    if asked == 0 || ok > 0 {
        return None;
    }
    let mut kinds: Vec<_> = manifest.attempts.iter().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    let name = |kind: &&Attempts| match (kind.status, kind.trouble.as_str()) {
        (0, "") => format!("{} {}", kind.count, kind.outcome),
        (0, trouble) => format!("{} {trouble}", kind.count),
        (status, "") => format!("{} with status {status}", kind.count),
        (status, trouble) => format!("{} with status {status}, {trouble}", kind.count),
    };
    let named: Vec<String> = kinds.iter().take(NAMED).map(name).collect();
    Some(format!("none of {asked}{NOTHING}: {}", named.join("; ")))
}

/// What its own watchdogs say of the generator.
fn doubts_of_generator(g: &Generator, send_lag_max_us: u64) -> Vec<String> {
    let doubts = [
        (
            g.lag_p99_us > send_lag_max_us,
            format!(
                "send lag p99 is {} µs; the scenario allows {} µs",
                g.lag_p99_us, send_lag_max_us
            ),
        ),
        (
            g.cpu_share > CPU_SHARE_MAX,
            format!(
                "the generator used {:.0} % of its core; at most {:.0} % is trusted",
                g.cpu_share * 100.0,
                CPU_SHARE_MAX * 100.0
            ),
        ),
        (
            g.run_queue_share > RUN_QUEUE_SHARE_MAX,
            format!(
                "the sending thread waited for its core {:.1} % of the time; at most {:.0} % is trusted",
                g.run_queue_share * 100.0,
                RUN_QUEUE_SHARE_MAX * 100.0
            ),
        ),
        (
            g.hiccup_max_us > HICCUP_MAX_US,
            format!(
                "the generator's core stood still for {} ms; at most {} ms is trusted",
                g.hiccup_max_us / 1_000,
                HICCUP_MAX_US / 1_000
            ),
        ),
        (
            g.steal_share > STEAL_SHARE_MAX,
            format!("the hypervisor took {:.1} % of the machine's time", g.steal_share * 100.0),
        ),
        (
            g.clock_drift_us.abs() > CLOCK_DRIFT_MAX_US,
            format!("wall and monotonic clock moved apart by {} µs", g.clock_drift_us),
        ),
    ];
    doubts.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect()
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
    reasons.extend(e.ended.iter().map(|process| format!("the process {process}{ENDED}")));
    let left = e.left.iter();
    reasons
        .extend(left.map(|text| format!("something was left after the faults' healing: {text}")));
    reasons
}

/// Whether the load places no orders, and that is all that keeps the audit from judging.
fn asked_for_nothing(e: &Evidence<'_>) -> bool {
    let places = e.manifest.requests.get("place").is_some_and(|counts| counts.scheduled > 0);
    let reasons = &e.verdict.reasons;
    !places
        && !reasons.is_empty()
        && reasons.iter().all(|reason| reason.starts_with(NOTHING_TO_JUDGE))
}

/// Whether every order that is not final is one that the scenario poisoned.
fn only_poison_is_left(verdict: &Verdict) -> bool {
    let poisoned = verdict.oddities.iter().find(|found| found.class == Class::Poisoned.name());
    let left = verdict.counts.pending + verdict.counts.dead;
    left > 0 && poisoned.is_some_and(|found| found.count == left)
}

fn unrecorded(count: u64) -> String {
    format!("{count} requests are in no record: the recorder was slower than the load")
}

fn not_retried(count: u64) -> String {
    format!("{count} retries were not made: too many orders waited for theirs")
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
            aborted: None,
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
        check(|m, _, _| m.generator.run_queue_share = 0.05, "");
        check(|m, _, _| m.generator.run_queue_share = 0.051, "waited for its core 5.1 %");
        check(|m, _, _| m.generator.hiccup_max_us = 100_000, "");
        check(|m, _, _| m.generator.hiccup_max_us = 101_000, "stood still for 101 ms");
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
        check(|_, s, _| s.unrecorded = 512, "512 requests are in no record");
        check(
            |m, _, _| {
                let place = m.requests.get_mut("place").unwrap();
                (place.failed, place.ok) = (3, 0);
                let kind = |status, trouble: &str, count| Attempts {
                    status,
                    trouble: trouble.to_owned(),
                    count,
                    ..Attempts::default()
                };
                m.attempts = vec![kind(0, "refused", 1), kind(404, "", 2)];
            },
            "none of 3 requests was answered as asked: 2 with status 404; 1 refused",
        );
        check(|_, s, _| s.not_retried = 7, "7 retries were not made");
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
        let aborted = Aborted { at_s: 7, reason: "failed > 50% over 3s".to_owned() };
        let validity = judge(&Evidence {
            manifest: &manifest,
            send_lag_max_us: 1_000,
            summary: &Summary::default(),
            aborted: Some(&aborted),
            service_s: 0.0,
            faults: &[],
            verdict: &Verdict { verdict: Answer::Unknown, ..Verdict::default() },
            drained: false,
            ended: &["orders (signal: 6)".to_owned()],
            left: &[],
            apart: false,
        });
        let overload = validity.reasons.iter().filter(|reason| comes_of_overload(reason)).count();
        let instrument = |reasons: &[String]| of_instrument(reasons).count();
        assert_eq!((overload, instrument(&validity.reasons)), (4, 2), "{validity:?}");
        // Without the death the audit's silence is a doubt.
        let alive = validity.reasons.iter().filter(|reason| !reason.contains(ENDED));
        assert_eq!(instrument(&alive.cloned().collect::<Vec<_>>()), 3, "{validity:?}");
        assert!(!comes_of_overload("aborted at 7 s: lag p(99) > 1s over 3s"));
    }

    /// An audit with this reason, of a load that asks for this and gets an answer to it all.
    fn judged(operation: &str, reason: String) -> Validity {
        let mut manifest = Manifest::default();
        let counts = RequestCounts { scheduled: 2, ok: 2, ..RequestCounts::default() };
        manifest.requests.insert(operation.to_owned(), counts);
        judge(&Evidence {
            manifest: &manifest,
            send_lag_max_us: 1_000,
            summary: &Summary::default(),
            aborted: None,
            service_s: 0.0,
            faults: &[],
            verdict: &Verdict::unreadable(reason),
            drained: true,
            ended: &[],
            left: &[],
            apart: true,
        })
    }

    #[test]
    fn a_load_without_orders_needs_no_verdict_on_them() {
        let nothing = || format!("{NOTHING_TO_JUDGE}: none was acknowledged");
        assert!(judged("login", nothing()).valid);
        let reasons = judged("place", nothing()).reasons;
        assert!(
            reasons[0].starts_with("the audit could not judge: there is nothing"),
            "{reasons:?}"
        );
        // A rate at which nothing is accepted is too high; nothing is wrong with the instrument.
        assert_eq!(of_instrument(&reasons).count(), 0);
        assert!(!judged("login", "the journal is gone".to_owned()).valid);
    }

    #[test]
    fn an_aborted_trial_is_not_an_interrupted_one() {
        let aborted = Aborted { at_s: 7, reason: "failed > 50% over 3s".to_owned() };
        let summary = Summary { interrupted: true, ..Summary::default() };
        let validity = judge(&Evidence {
            manifest: &Manifest::default(),
            send_lag_max_us: 1_000,
            summary: &summary,
            aborted: Some(&aborted),
            service_s: 0.0,
            faults: &[],
            verdict: &Verdict::default(),
            drained: true,
            ended: &[],
            left: &[],
            apart: true,
        });
        assert!(!validity.valid && !validity.interrupted, "{validity:?}");
        assert_eq!(validity.reasons[0], "aborted at 7 s: failed > 50% over 3s");
        // Unlike after an interrupt there was time to judge.
        assert!(validity.reasons[1].starts_with("the audit could not judge"), "{validity:?}");
        assert_eq!(validity.aborted, Some(aborted));
    }
}

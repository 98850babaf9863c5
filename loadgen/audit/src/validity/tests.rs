//! Each doubt for its reason, and what it says where too much load is tried.

use super::*;
use record::{NOTHING_TO_JUDGE, RequestCounts};

/// A trial that is as it should be.
fn fine<'a>(manifest: &'a Manifest, verdict: &'a Verdict) -> Observed<'a> {
    Observed {
        manifest,
        send_lag_max_us: 1_000,
        stopped: false,
        aborted: None,
        unrecorded: 0,
        not_retried: 0,
        in_flight_area_s: 2.0,
        service_s: 2.0,
        faults: &[],
        verdict,
        drained: true,
        ended: &[],
        left: &[],
        apart: true,
    }
}

fn answered(operation: &str, counts: RequestCounts) -> Manifest {
    let requests = [(operation.to_owned(), counts)].into();
    Manifest { requests, ..Manifest::default() }
}

fn is_true() -> Verdict {
    Verdict { verdict: Answer::True, ..Verdict::default() }
}

#[track_caller]
fn check(
    change: impl FnOnce(&mut Manifest),
    observe: impl FnOnce(&mut Observed<'_>),
    expected: &str,
) {
    let counts = RequestCounts { scheduled: 3, ok: 2, failed: 1, ..RequestCounts::default() };
    let mut manifest = answered("place", counts);
    change(&mut manifest);
    let verdict = is_true();
    let mut observed = fine(&manifest, &verdict);
    observe(&mut observed);
    let validity = judge(&observed);
    assert_eq!(validity.valid, expected.is_empty(), "{validity:?}");
    if !expected.is_empty() {
        assert_eq!(validity.reasons.len(), 1, "{validity:?}");
        assert!(validity.reasons[0].to_string().contains(expected), "{validity:?}");
    }
    // What stands in the record can be told apart again without its kind.
    for reason in &validity.reasons {
        assert!(!matches!(Reason::parse(&reason.to_string()), Reason::Other { .. }));
    }
}

#[test]
fn each_doubt_has_its_reason() {
    let nothing = |_: &mut Observed<'_>| ();
    check(|_| (), nothing, "");
    check(|m| m.generator.lag_p99_us = 1_001, nothing, "send lag p99 is 1001 µs");
    check(|m| m.generator.cpu_share = 0.81, nothing, "81 % of its core");
    check(|m| m.generator.steal_share = 0.06, nothing, "6.0 %");
    check(|m| m.generator.run_queue_share = 0.05, nothing, "");
    check(|m| m.generator.run_queue_share = 0.051, nothing, "waited for its core 5.1 %");
    check(|m| m.generator.hiccup_max_us = 100_000, nothing, "");
    check(|m| m.generator.hiccup_max_us = 101_000, nothing, "stood still for 101 ms");
    check(|m| m.generator.clock_drift_us = -5_001, nothing, "-5001 µs");
    let drop_one = |m: &mut Manifest| {
        let place = m.requests.get_mut("place").unwrap();
        (place.dropped, place.ok) = (1, 1);
    };
    check(drop_one, nothing, "1 requests were dropped");
    let one_more = |m: &mut Manifest| m.requests.get_mut("place").unwrap().scheduled = 4;
    check(one_more, nothing, "does not close");
    check(|_| (), |o| o.in_flight_area_s = 2.5, "Little's law is off by 25 %");
    check(|_| (), |o| o.unrecorded = 512, "512 requests are in no record");
    check(|_| (), |o| o.not_retried = 7, "7 retries were not made");
}

#[test]
fn a_load_of_which_nothing_succeeds_says_how_it_ended() {
    let failed = |m: &mut Manifest| {
        let place = m.requests.get_mut("place").unwrap();
        (place.failed, place.ok) = (3, 0);
        let kind = |status, trouble: &str, count| Attempts {
            status,
            trouble: trouble.to_owned(),
            count,
            ..Attempts::default()
        };
        m.attempts = vec![kind(0, "refused", 1), kind(404, "", 2)];
    };
    let expected = "none of 3 requests was answered as asked: 2 with status 404; 1 refused";
    check(failed, |_| (), expected);
}

#[test]
fn a_fault_without_proof_is_a_doubt() {
    let row = FaultRow { kind: "kill".to_owned(), ..FaultRow::default() };
    let unseen = FaultRow { healed_s: Some(2.0), effect_proof: "alive".to_owned(), ..row.clone() };
    let unhealed = FaultRow { effective_s: Some(1.0), heal_proof: "dead".to_owned(), ..row };
    let healed = FaultRow { healed_s: Some(2.0), ..unhealed.clone() };
    let (manifest, verdict) = (Manifest::default(), is_true());
    let faults = [unseen, unhealed, healed];
    let validity = judge(&Observed { faults: &faults, ..fine(&manifest, &verdict) });
    assert_eq!(validity.sentences(), ["fault kill on : alive", "fault kill on : dead"]);
}

#[test]
fn only_what_the_system_did_comes_of_overload() {
    let counts = RequestCounts { scheduled: 2, ok: 1, dropped: 1, ..RequestCounts::default() };
    let mut manifest = answered("place", counts);
    manifest.generator.lag_p99_us = 2_000;
    let reason = "failed > 50% over 3s".to_owned();
    let aborted = Aborted { at_s: 7, reason, of_send_lag: false };
    let verdict = Verdict { verdict: Answer::Unknown, ..Verdict::default() };
    let ended = ["orders (signal: 6)".to_owned()];
    let validity = judge(&Observed {
        aborted: Some(&aborted),
        drained: false,
        ended: &ended,
        apart: false,
        ..fine(&manifest, &verdict)
    });
    let overload = validity.reasons.iter().filter(|reason| comes_of_overload(reason)).count();
    let instrument = |reasons: &[Reason]| of_instrument(reasons).count();
    assert_eq!((overload, instrument(&validity.reasons)), (4, 2), "{validity:?}");
    // Without the death the audit's silence is a doubt.
    let mut alive = validity.reasons.clone();
    alive.retain(|reason| !matches!(reason, Reason::EndedByItself { .. }));
    assert_eq!(instrument(&alive), 3, "{validity:?}");
    let of_send_lag = Aborted { of_send_lag: true, ..aborted };
    assert!(!comes_of_overload(&Reason::from(&of_send_lag)));
}

/// An older record has the sentence alone.
#[test]
fn a_sentence_of_an_older_record_is_of_the_same() {
    let of = |sentence: &str| of(&Reason::parse(sentence));
    let dropped = "1 requests were dropped: more than limits.in_flight were open";
    for sentence in [
        "aborted at 7 s: failed > 50% over 3s",
        dropped,
        "orders were still pending at the end of the drain",
        "the process orders (signal: 6) ended by itself",
        "none of 3 requests was answered as asked: 3 with status 404",
    ] {
        assert_eq!(of(sentence), Of::Overload, "{sentence}");
    }
    assert_eq!(of("aborted at 7 s: lag p(99) > 1s over 3s"), Of::Instrument);
    assert_eq!(of("the audit could not judge: it is gone"), Of::Audit);
    assert_eq!(of("what nobody knows any more"), Of::Instrument);
}

/// An audit with this reason, of a load that asks for this and gets an answer to it all.
fn judged(operation: &str, reason: String) -> Validity {
    let counts = RequestCounts { scheduled: 2, ok: 2, ..RequestCounts::default() };
    judge(&fine(&answered(operation, counts), &Verdict::unreadable(reason)))
}

#[test]
fn a_load_without_orders_needs_no_verdict_on_them() {
    let nothing = || format!("{NOTHING_TO_JUDGE}: none was acknowledged");
    assert!(judged("login", nothing()).valid);
    let reasons = judged("place", nothing()).reasons;
    let said = reasons[0].to_string();
    assert!(said.starts_with("the audit could not judge: there is nothing"), "{said}");
    // A rate at which nothing is accepted is too high; nothing is wrong with the instrument.
    assert_eq!(of_instrument(&reasons).count(), 0);
    assert!(!judged("login", "the journal is gone".to_owned()).valid);
}

#[test]
fn a_trial_that_was_stopped_is_interrupted_unless_its_scenario_ended_it() {
    check(|_| (), |o| (o.stopped, o.drained) = (true, false), "interrupted before its end");
    let reason = "failed > 50% over 3s".to_owned();
    let aborted = Aborted { at_s: 7, reason, of_send_lag: false };
    let (manifest, verdict) = (Manifest::default(), Verdict::default());
    let validity =
        judge(&Observed { stopped: true, aborted: Some(&aborted), ..fine(&manifest, &verdict) });
    assert!(!validity.valid && !validity.interrupted, "{validity:?}");
    let reasons = validity.sentences();
    assert_eq!(reasons[0], "aborted at 7 s: failed > 50% over 3s");
    // Unlike after an interrupt there was time to judge.
    assert!(reasons[1].starts_with("the audit could not judge"), "{validity:?}");
    assert_eq!(validity.aborted, Some(aborted));
}

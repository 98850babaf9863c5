//! Each doubt for its reason, and what it says where too much load is tried.

use super::*;
use record::{GeneratorLimits, RequestCounts, Stall, Touched, Trouble};

/// A trial that is as it should be.
fn fine<'a>(manifest: &'a Manifest, verdict: &'a Verdict) -> Observed<'a> {
    Observed {
        manifest,
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

fn answered(operation: Operation, counts: RequestCounts) -> Manifest {
    let requests = [(operation, counts)].into();
    let limits = GeneratorLimits { send_lag_us: 1_000, ..GeneratorLimits::default() };
    Manifest { requests, limits, ..Manifest::default() }
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
    let mut manifest = answered(Operation::Place, counts);
    change(&mut manifest);
    let verdict = is_true();
    let mut observed = fine(&manifest, &verdict);
    observe(&mut observed);
    let validity = judge(&observed);
    assert_eq!(validity.valid, expected.is_empty(), "{validity:?}");
    assert_eq!(validity.blurs, []);
    only(&validity.reasons, expected);
}

/// That there is this one, or none if nothing is expected.
#[track_caller]
fn only(reasons: &[Reason], expected: &str) {
    let found: Vec<String> = reasons.iter().map(Reason::to_string).collect();
    assert_eq!(found.len(), usize::from(!expected.is_empty()), "{found:?}");
    assert!(found.iter().all(|sentence| sentence.contains(expected)), "{found:?}");
    // What stands in the record can be told apart again without its kind.
    let parsed = |sentence: &String| Reason::parse(sentence);
    assert!(!found.iter().map(parsed).any(|reason| matches!(reason, Reason::Other { .. })));
}

#[test]
fn each_doubt_has_its_reason() {
    let nothing = |_: &mut Observed<'_>| ();
    check(|_| (), nothing, "");
    check(|m| m.generator.cpu_share = 0.81, nothing, "81 % of its core");
    check(|m| m.generator.steal_share = 0.06, nothing, "6.0 %");
    let busy = |real_time| {
        move |m: &mut Manifest| {
            (m.generator.cpu_share, m.generator.polled_share) = (0.5, 0.45);
            m.generator.real_time = real_time;
        }
    };
    check(busy(false), nothing, "");
    check(busy(true), nothing, "95 % of its core");
    let still = |ms| {
        move |m: &mut Manifest| {
            m.duration_s = 10;
            m.stalls = vec![Stall { at_s: 1.0, ms: 200.0 }, Stall { at_s: 4.0, ms }];
        }
    };
    check(still(300.0), nothing, "");
    check(still(400.0), nothing, "the machine stood still for 6 % of the time");
    check(|m| m.generator.clock_drift_us = -5_001, nothing, "-5001 µs");
    let drop_one = |m: &mut Manifest| {
        let place = m.requests.get_mut(&Operation::Place).unwrap();
        (place.dropped, place.ok) = (1, 1);
    };
    check(drop_one, nothing, "1 requests were dropped");
    let one_more = |m: &mut Manifest| m.requests.get_mut(&Operation::Place).unwrap().scheduled = 4;
    check(one_more, nothing, "does not close");
    check(|_| (), |o| o.in_flight_area_s = 2.5, "Little's law is off by 25 %");
    check(|_| (), |o| o.unrecorded = 512, "512 requests are in no record");
    check(|_| (), |o| o.not_retried = 7, "7 retries were not made");
}

/// Each figure has two ends then, and the trial stands.
#[test]
fn what_can_only_have_lengthened_a_time_blurs_it() {
    let blurred = |change: fn(&mut Manifest), expected: &str| {
        let counts = RequestCounts { scheduled: 3, ok: 3, ..RequestCounts::default() };
        let mut manifest = answered(Operation::Place, counts);
        change(&mut manifest);
        let validity = judge(&fine(&manifest, &is_true()));
        assert!(validity.valid, "{validity:?}");
        only(&validity.blurs, expected);
    };
    blurred(|m| m.generator.lag_p99_us = 1_000, "");
    blurred(|m| m.generator.lag_p99_us = 1_001, "send lag p99 is 1001 µs");
    blurred(|m| m.generator.run_queue_share = 0.05, "");
    blurred(|m| m.generator.run_queue_share = 0.051, "waited for its core 5.1 %");
    blurred(|m| m.generator.rivals = 0.1, "");
    blurred(|m| m.generator.rivals = 0.93, "other programs used up to 93 % of a core");
    blurred(|m| m.generator.hiccup_max_us = 100_000, "");
    blurred(|m| m.generator.hiccup_max_us = 101_000, "stood still for 101 ms");
}

#[test]
fn only_what_the_machine_spoilt_is_worth_another_try() {
    let steal = Reason::Steal { share: 0.06 };
    assert!(is_of_instrument_alone(std::slice::from_ref(&steal)));
    assert!(!is_of_instrument_alone(&[]));
    // The system's own end is a finding, and stays one.
    assert!(!is_of_instrument_alone(&[steal, Reason::StillPending]));
    let blurred = |outcomes| {
        let counts = RequestCounts { scheduled: 100, ok: 100, ..RequestCounts::default() };
        let touched = Some(Touched { outcomes, ..Touched::default() });
        is_much_blurred(&Manifest { touched, ..answered(Operation::Place, counts) })
    };
    assert_eq!([blurred(5), blurred(6)], [false, true]);
}

#[test]
fn a_load_of_which_nothing_succeeds_says_how_it_ended() {
    let failed = |m: &mut Manifest| {
        let place = m.requests.get_mut(&Operation::Place).unwrap();
        (place.failed, place.ok) = (3, 0);
        let kind =
            |status, trouble, count| Attempts { status, trouble, count, ..Attempts::default() };
        m.attempts = vec![kind(0, Trouble::Refused, 1), kind(404, Trouble::None, 2)];
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
    let mut manifest = answered(Operation::Place, counts);
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
    let instrument = |reasons: &[Reason]| of_instrument(reasons.iter()).count();
    assert_eq!((overload, instrument(&validity.reasons)), (4, 1), "{validity:?}");
    assert_eq!(of_instrument(validity.doubts()).count(), 2, "the send lag");
    // Without the death the audit's silence is a doubt.
    let mut alive = validity.reasons.clone();
    alive.retain(|reason| !matches!(reason, Reason::EndedByItself { .. }));
    assert_eq!(instrument(&alive), 2, "{validity:?}");
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
fn judged(operation: Operation, reason: String) -> Validity {
    let counts = RequestCounts { scheduled: 2, ok: 2, ..RequestCounts::default() };
    judge(&fine(&answered(operation, counts), &Verdict::unreadable(reason)))
}

#[test]
fn a_load_without_orders_needs_no_verdict_on_them() {
    let nothing = || Doubt::NothingToJudge { asked: 2 }.to_string();
    assert!(judged(Operation::Login, nothing()).valid);
    let reasons = judged(Operation::Place, nothing()).reasons;
    let said = reasons[0].to_string();
    assert!(said.starts_with("the audit could not judge: there is nothing"), "{said}");
    // A rate at which nothing is accepted is too high; nothing is wrong with the instrument.
    assert_eq!(of_instrument(reasons.iter()).count(), 0);
    assert!(!judged(Operation::Login, "the journal is gone".to_owned()).valid);
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

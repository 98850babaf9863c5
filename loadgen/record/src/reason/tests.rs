//! Every kind as a sentence and back.

use super::*;

/// One of each kind.
fn every_kind() -> Vec<Reason> {
    let text = |text: &str| text.to_owned();
    vec![
        Reason::Interrupted,
        Reason::Aborted { at_s: 7, condition: text("failed > 50% over 3s"), of_send_lag: false },
        Reason::Aborted { at_s: 7, condition: text("lag p(99) > 1s over 3s"), of_send_lag: true },
        Reason::SendLag { p99_us: 4_100, allowed_us: 1_000 },
        Reason::GeneratorCpu { share: 0.81, trusted: 0.8 },
        Reason::RunQueue { share: 0.051, trusted: 0.05 },
        Reason::Hiccup { ms: 101, trusted_ms: 100 },
        Reason::StoodStill { share: 0.07, trusted: 0.05 },
        Reason::Rivals { cores: 0.93, trusted: 0.1 },
        Reason::Steal { share: 0.06 },
        Reason::ClockDrift { us: -5_001 },
        Reason::SharedCore,
        Reason::Dropped { requests: 3, by_in_flight: false },
        Reason::Dropped { requests: 3, by_in_flight: true },
        Reason::LedgerOpen {
            operation: Operation::Place,
            counts: RequestCounts { scheduled: 4, ok: 2, failed: 1, ..RequestCounts::default() },
        },
        Reason::NothingSucceeded { asked: 3, ends: text("2 with status 404; 1 refused") },
        Reason::Unrecorded { requests: 512 },
        Reason::NotRetried { retries: 7 },
        Reason::LittlesLaw { off: 0.25 },
        Reason::FaultUnproved {
            fault: text("kill"),
            on: text("payments"),
            found: text("alive: after 5 s"),
        },
        Reason::ended("orders (signal: 6)"),
        Reason::ended("orders"),
        Reason::LeftOver { what: text("payments: the mount /x") },
        Reason::StillPending,
        Reason::not_judged(&[Doubt::Other { sentence: text("the ledger cannot be read") }]),
        Reason::not_judged(&[Doubt::NothingToJudge { asked: 3 }]),
        Reason::Other { sentence: text("stopped by the user at 45 s of 60 s") },
    ]
}

#[test]
fn a_sentence_is_its_reason_and_a_reason_its_json() {
    for reason in every_kind() {
        assert_eq!(Reason::parse(&reason.to_string()), reason);
        let json = serde_json::to_string(&reason).unwrap();
        assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason, "{json}");
    }
}

#[test]
fn what_a_template_does_not_fit_stays_as_it_is() {
    for sentence in [
        "",
        "send lag p99 is 4.1 ms, above 5 % of the measured p50 (3.2 ms)",
        "send lag p99 is many µs; the scenario allows 1000 µs",
        "the generator used 81.5 % of its core; at most 80 % is trusted",
        "the ledger of place does not close: RequestCounts { scheduled: 4 }",
        "7 requests were dropped: nobody knows why",
    ] {
        assert_eq!(Reason::parse(sentence), Reason::Other { sentence: sentence.to_owned() });
    }
}

#[test]
fn a_kind_has_one_general_sentence() {
    let general = |sentence: &str| Reason::parse(sentence).general();
    let lag = "send lag p99 is … µs; the scenario allows … µs";
    assert_eq!(general("send lag p99 is 4100 µs; the scenario allows 1000 µs"), lag);
    assert_eq!(
        general("the process orders (signal: 6) ended by itself"),
        "the process orders (signal: 6) ended by itself"
    );
}

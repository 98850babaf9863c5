//! The window, second by second, and texts that are refused.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use record::requests::Requests;
use record::{Receipt, Trouble};
use scenario::config::{self, Span};

fn condition(text: &str) -> Abort {
    config::parse(Path::new("s.toml"), text).unwrap()
}

fn sample(done_s: f64, outcome: Outcome, response_ms: u64) -> Sample {
    let done_ns = (done_s * 1e9) as u64;
    let begun_ns = done_ns.saturating_sub(response_ms * 1_000_000);
    Sample {
        seq: 0,
        operation: Operation::Place,
        customer: 0,
        amount_cents: 0,
        intended_ns: begun_ns,
        sent_ns: begun_ns,
        done_ns,
        waited_ns: 0,
        outcome,
        status: 0,
        trouble: Trouble::None,
        receipt: Receipt::None,
        about: None,
        told: None,
        retry: 0,
        again: false,
    }
}

/// The only attempt of its request.
fn add(lookout: &mut Lookout, sample: &Sample) {
    lookout.add(sample, Requests::default().add(sample.into()));
}

/// A second's requests: ok ones and failed ones.
type Second = (u32, u32);

/// When a load of these seconds is aborted, if it is.
fn aborted(text: &str, seconds: &[Second], duration_s: f64) -> Option<u64> {
    let mut lookout = Lookout::new(&[condition(text)], duration_s).unwrap();
    for (second, (ok, failed)) in seconds.iter().enumerate() {
        for n in 0..ok + failed {
            let outcome = if n < *ok { Outcome::Ok } else { Outcome::Failed };
            add(&mut lookout, &sample(second as f64 + 0.5, outcome, 1));
        }
    }
    lookout.aborted().map(|a| a.at_s)
}

#[track_caller]
fn check(text: &str, seconds: &[Second], expected: Option<u64>) {
    assert_eq!(aborted(text, seconds, 100.0), expected, "{text} {seconds:?}");
}

const HALF_OF_3: &str = "when = \"failed > 50%\"\nover = \"3s\"";
const GOOD: Second = (10, 0);
const BAD: Second = (0, 10);
const NONE: Second = (0, 0);

#[test]
fn the_window_slides_by_whole_seconds() {
    check(HALF_OF_3, &[GOOD; 9], None);
    // Not before it is full, and not before a later sample says that a second is over.
    check(HALF_OF_3, &[BAD, BAD, BAD, BAD], Some(3));
    check(HALF_OF_3, &[BAD, BAD, BAD], None);
    // Two of three seconds are more than half of it.
    check(HALF_OF_3, &[GOOD, GOOD, GOOD, BAD, BAD, GOOD], Some(5));
    check(HALF_OF_3, &[GOOD, BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD], None);
    // Exactly half is not more than half; requests count, not seconds.
    check("when = \"failed > 50%\"\nover = \"2s\"", &[GOOD, BAD, GOOD, BAD, GOOD], None);
    check(HALF_OF_3, &[GOOD, (100, 0), (0, 300), GOOD], Some(3));
    // What is older than the window is forgotten.
    check(HALF_OF_3, &[(1000, 0), BAD, BAD, GOOD, GOOD], Some(4));
}

#[test]
fn a_second_without_an_end_counts_nothing() {
    check(HALF_OF_3, &[NONE, NONE, NONE, NONE, GOOD], None);
    check(HALF_OF_3, &[GOOD, BAD, NONE, NONE, GOOD], Some(4));
    check("when = \"failed < 50%\"\nover = \"1s\"", &[BAD, NONE, NONE, BAD, BAD], None);
}

/// When a load is aborted whose second bad batch is of so many seconds ago.
fn told_late(by_s: f64) -> Option<u64> {
    let mut lookout = Lookout::new(&[condition(HALF_OF_3)], 100.0).unwrap();
    let tell = |lookout: &mut Lookout, second: f64, outcome| {
        (0..10).for_each(|_| add(lookout, &sample(second, outcome, 1)));
    };
    tell(&mut lookout, 0.5, Outcome::Ok);
    tell(&mut lookout, 2.5, Outcome::Failed);
    tell(&mut lookout, 3.5, Outcome::Ok);
    tell(&mut lookout, 3.5 - by_s, Outcome::Failed);
    tell(&mut lookout, 4.5, Outcome::Ok);
    tell(&mut lookout, 5.5, Outcome::Ok);
    lookout.aborted().map(|a| a.at_s)
}

#[test]
fn a_straggler_counts_in_its_own_second() {
    assert_eq!(told_late(0.0), Some(4));
    assert_eq!(told_late(1.0), Some(4));
    assert_eq!(told_late(2.0), Some(4));
    // Older than the window: forgotten.
    assert_eq!(told_late(3.0), None);
}

#[test]
fn what_ends_after_the_schedule_ends_nothing() {
    assert_eq!(aborted(HALF_OF_3, &[GOOD, GOOD, BAD, BAD, BAD, GOOD], 5.0), Some(4));
    assert_eq!(aborted(HALF_OF_3, &[GOOD, GOOD, BAD, BAD, BAD, GOOD], 3.0), None);
}

#[test]
fn what_was_given_up_by_the_stop_says_nothing() {
    let mut lookout = Lookout::new(&[condition(HALF_OF_3)], 100.0).unwrap();
    for n in 0..50 {
        add(&mut lookout, &sample(f64::from(n) / 10.0, Outcome::Unfinished, 1));
    }
    add(&mut lookout, &sample(9.0, Outcome::Ok, 1));
    assert_eq!(lookout.aborted(), None);
}

#[test]
fn the_reason_says_what_was_found() {
    let mut lookout = Lookout::new(&[condition(HALF_OF_3)], 100.0).unwrap();
    for second in [0.1, 1.1, 1.2, 2.1, 3.1] {
        let outcome = if second < 1.0 { Outcome::Ok } else { Outcome::Unknown };
        add(&mut lookout, &sample(second, outcome, 1));
    }
    let reason = "failed > 50% over 3s of all operations; found 75 %".to_owned();
    assert_eq!(lookout.aborted(), Some(&Aborted { at_s: 3, reason, of_send_lag: false }));
}

#[test]
fn an_operation_is_judged_alone() {
    let of = |operation: &str| {
        let text = format!("when = \"failed > 50%\"\nover = \"1s\"\noperation = \"{operation}\"");
        aborted(&text, &[BAD, BAD], 100.0)
    };
    assert_eq!((of("place"), of("get")), (Some(1), None));
}

/// When a load of 200 requests per second, `slow` of them slow, is aborted.
fn slow(text: &str, slow: u32, outcome: Outcome) -> Option<u64> {
    let mut lookout = Lookout::new(&[condition(text)], 100.0).unwrap();
    for n in 0..1_000 {
        let ms = if n % 200 < slow && n >= 400 { 1_500 } else { 20 };
        let outcome = if ms > 20 { outcome } else { Outcome::Ok };
        add(&mut lookout, &sample(f64::from(n) / 200.0, outcome, ms));
    }
    lookout.aborted().map(|a| a.at_s)
}

#[test]
fn times_over_the_window() {
    // A p99 needs 368 samples: two of these seconds.
    let two = "when = \"p(99) > 1s\"\nover = \"2s\"";
    assert_eq!(slow(two, 8, Outcome::Ok), Some(3));
    assert_eq!(slow(two, 3, Outcome::Ok), Some(4));
    assert_eq!(slow(two, 1, Outcome::Ok), None);
    assert_eq!(slow("when = \"p(99) > 1s\"\nover = \"1s\"", 50, Outcome::Ok), None);
    assert_eq!(slow("when = \"p(50) > 1s\"\nover = \"1s\"", 150, Outcome::Ok), Some(3));
    assert_eq!(slow("when = \"max > 1s\"\nover = \"1s\"", 2, Outcome::Unknown), Some(3));
    // Only ok answers are accepted; what was dropped has no time; nothing here was sent late.
    assert_eq!(slow("when = \"accepted max > 1s\"\nover = \"1s\"", 2, Outcome::Unknown), None);
    assert_eq!(slow("when = \"max > 1s\"\nover = \"1s\"", 2, Outcome::Dropped), None);
    assert_eq!(slow("when = \"lag max > 1s\"\nover = \"1s\"", 2, Outcome::Ok), None);
    assert_eq!(slow("when = \"service max > 1s\"\nover = \"1s\"", 2, Outcome::Ok), Some(3));
}

#[track_caller]
fn refused(text: &str, part: &str) {
    let error = config::parse::<Abort>(Path::new("s.toml"), text).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn errors_name_the_line_and_what_is_valid() {
    refused("\nwhen = \"faild > 50%\"", "s.toml:2: the condition \"faild > 50%\"");
    refused("when = \"faild > 50%\"", "did you mean `failed`?");
    refused("when = \"lost > 0\"", "is not known while the load runs; expected failed");
    refused("when = \"completed p(99) > 1s\"", "s.toml:1: ");
    refused("wen = \"failed > 1%\"", "did you mean `when`?");
    let over = |text: &str| format!("when = \"failed > 1%\"\nover = \"{text}\"");
    refused(&over("1500ms"), "s.toml:2: over is 1500ms; expected whole seconds, 1 to 300");
    refused(&over("0s"), "over is 0s");
    refused(&over("301s"), "over is 301s");
    let of = "when = \"failed > 1%\"\noperation = \"plce\"";
    refused(of, "s.toml:2: unknown value `plce`; did you mean `place`?");
    assert_eq!(condition("when = \"failed > 1%\"").over, Span::secs(10));
}

/// The same, from all samples at once.
fn by_definition(seconds: &[Second], over: usize) -> Option<u64> {
    let ends = over..seconds.len();
    let share = |end: usize| {
        let sum = |f: fn(&Second) -> u32| seconds[end - over..end].iter().map(f).sum::<u32>();
        let (ok, failed) = (sum(|s| s.0), sum(|s| s.1));
        failed > ok
    };
    // A second is over when a later one has a sample.
    let known = |end: usize| seconds[end..].iter().any(|(ok, failed)| ok + failed > 0);
    ends.into_iter().find(|end| known(*end) && share(*end)).map(|end| end as u64)
}

proptest! {
    #[test]
    fn sliding_is_summing(
        seconds in prop::collection::vec((0_u32..4, 0_u32..4), 0..30),
        over in 1_usize..6,
    ) {
        let text = format!("when = \"failed > 50%\"\nover = \"{over}s\"");
        prop_assert_eq!(aborted(&text, &seconds, 100.0), by_definition(&seconds, over));
    }
}

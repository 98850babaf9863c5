//! What is recorded comes out as the time series tells it.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use super::*;
use load::recorder;
use record::read::table;
use record::{Generator, GeneratorLimits, Receipt, Sample, Trouble};

const MS: u64 = 1_000_000;

/// An attempt to place an order: who, which, when it should start and when it ended (ms).
fn sample(of: (u64, u8, bool), from_ms: u64, to_ms: u64, outcome: Outcome) -> Sample {
    let (seq, retry, again) = of;
    Sample {
        seq,
        operation: Operation::Place,
        customer: 0,
        amount_cents: 5,
        intended_ns: from_ms * MS,
        sent_ns: from_ms * MS,
        done_ns: to_ms * MS,
        waited_ns: 0,
        outcome,
        status: 0,
        trouble: Trouble::None,
        receipt: if outcome == Outcome::Ok { Receipt::Paid } else { Receipt::None },
        about: None,
        told: None,
        retry,
        again,
    }
}

/// Records and digests; the recorder's counts, and the time series.
fn digested(samples: Vec<Sample>) -> (recorder::Totals, Vec<TimelineRow>) {
    digested_beside(0.0, samples)
}

/// The same of a load beside whose systems others used so many cores.
fn digested_beside(rivals: f64, samples: Vec<Sample>) -> (recorder::Totals, Vec<TimelineRow>) {
    let folder = tempfile::tempdir().unwrap();
    let (send, recorded) = sync_channel(1);
    send.send(samples).unwrap();
    drop(send);
    let recording = (folder.path().to_owned(), "1".to_owned()).into();
    let totals = recorder::write(recording, &recorded, &AtomicBool::new(false)).unwrap();
    let limits = GeneratorLimits {
        timeout_s: 1.0,
        drain_s: 1.0,
        objective_s: 2.0,
        send_lag_us: 1_000,
        ..GeneratorLimits::default()
    };
    let generator = Generator { rivals, ..Generator::default() };
    let manifest =
        Manifest { interval_s: 1, duration_s: 9, limits, generator, ..Manifest::default() };
    write(folder.path(), &manifest, []).unwrap();
    let rows = table::rows(&folder.path().join("timeline.csv"), false).unwrap();
    (totals, rows)
}

#[test]
fn an_order_is_one_request_from_its_first_intent_however_often_it_is_asked_for() {
    use Outcome::{Failed, Ok, Unknown};
    let (totals, rows) = digested(vec![
        sample((1, 0, true), 500, 900, Unknown),
        sample((2, 0, true), 1_200, 1_300, Unknown),
        sample((1, 1, false), 2_000, 2_100, Ok),
        sample((2, 1, false), 2_400, 2_500, Failed),
        sample((3, 0, true), 3_100, 3_200, Failed),
        sample((4, 0, false), 3_300, 3_400, Ok),
    ]);
    let counts = totals.counts[&Operation::Place];
    assert_eq!((counts.ok, counts.failed, counts.unknown), (2, 1, 1));
    let row = |t_s: u32| rows.iter().find(|row| row.t_s == t_s).unwrap();
    let of = |t_s| {
        let TimelineRow { offered, ok, failed, unknown, sent, answered, .. } = *row(t_s);
        ([offered, ok, failed, unknown], [sent, answered])
    };
    assert_eq!(of(0), ([1, 1, 0, 0], [1, 0]), "answered in second 2");
    assert_eq!(of(1), ([1, 0, 0, 1], [1, 0]), "its first attempt may have had an effect");
    assert_eq!(of(2), ([0, 0, 0, 0], [2, 1]), "only retries were sent");
    assert_eq!(of(3), ([2, 1, 1, 0], [2, 1]), "the one that was to ask again did not");
    assert_eq!([0, 1, 2, 3].map(|t_s| row(t_s).attempts), [Some(2), Some(2), None, Some(2)]);
    let felt = |t_s| (row(t_s).max_ms.unwrap() / 10.0).round() * 10.0;
    assert_eq!([felt(0), felt(1), felt(3)], [1_600.0, 1_300.0, 100.0]);
    assert_eq!([row(0).good, row(1).good, row(2).good], [1, 0, 0].map(Some));
    assert!(rows.iter().all(|row| row.in_flight == 0), "{rows:?}");
    let attempts: u64 = totals.attempts().iter().map(|kind| kind.count).sum();
    assert_eq!((attempts, totals.attempts().len()), (6, 3));
}

/// One order a second takes 20 ms. Two are sent when it is 4.4 s: one fails.
#[test]
fn what_is_sent_late_has_two_ends() {
    let in_time = |s: u64| sample((s, 0, false), s * 1_000, s * 1_000 + 20, Outcome::Ok);
    let late = |seq, due_ms, done_ms, outcome| Sample {
        sent_ns: 4_400 * MS,
        ..sample((seq, 0, false), due_ms, done_ms, outcome)
    };
    let mut samples: Vec<Sample> = (0..9).map(in_time).collect();
    samples.push(late(10, 4_100, 4_420, Outcome::Failed));
    samples.push(late(11, 4_200, 4_430, Outcome::Ok));
    let (_, rows) = digested(samples);
    let row = |t_s: u32| rows.iter().find(|row| row.t_s == t_s).unwrap();
    let touched = |t_s| {
        let TimelineRow { touched_ok, touched_failed, touched_good, touched_missed, .. } =
            *row(t_s);
        [touched_ok, touched_failed, touched_good, touched_missed].map(Option::unwrap)
    };
    assert_eq!(touched(3), [0; 4]);
    // All around them are answered: the one that was would have been, and the other may have been.
    assert_eq!(touched(4), [0, 1, 0, 1]);
    let ms = |ms: Option<f64>| ms.map(|ms| (ms / 5.0).round() * 5.0);
    assert_eq!((ms(row(4).p99_ms), ms(row(4).p99_least_ms)), (Some(320.0), Some(20.0)));
    assert_eq!(row(5).p99_least_ms, None);
}

/// Nobody was late, and one order took 300 ms: its system may have had to share its core.
#[test]
fn beside_rivals_no_time_is_more_than_an_upper_end() {
    let samples = || {
        let quick = |s: u64| sample((s, 0, false), s * 1_000, s * 1_000 + 20, Outcome::Ok);
        let slow = sample((9, 0, false), 4_100, 4_400, Outcome::Ok);
        (0..9).map(quick).chain([slow]).collect::<Vec<Sample>>()
    };
    let ends = |rivals| {
        let (_, rows) = digested_beside(rivals, samples());
        let row = rows.iter().find(|row| row.t_s == 4).unwrap();
        let ms = |ms: Option<f64>| ms.map(|ms| (ms / 5.0).round() * 5.0);
        (ms(row.p99_ms), ms(row.p99_least_ms), row.touched_ok)
    };
    assert_eq!(ends(0.1), (Some(300.0), None, Some(0)));
    assert_eq!(ends(0.9), (Some(300.0), Some(20.0), Some(0)));
}

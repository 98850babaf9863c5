//! What a report and an audit read back: the files of a record, each in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use proptest::collection::vec;
use proptest::prelude::*;

use hostile_input::mutation;

use super::{cases, useful};
use crate::truth::read_journal;
use audit::digest;
use load::recorder;
use record::files;
use record::ledger::{ChargeRow, DeadRow, Ledger, OrderRow};
use record::read::{self, Run};
use record::reads::{How, ReadRow};
use record::write_table;
use record::{Answer, Manifest, Met, Operation, Outcome, Receipt, Sample, Trouble, history};
use report::export::{self, Format};
use supervise::witness::Seals;

/// A report takes half a second, a table a millisecond.
const REPORTS_PER_CASE: u32 = 128;
/// Enough intervals to have several of a kind.
const LOG_LINES: usize = 60;

/// A record whose trial is whole (or was stopped), with a log short enough to be read often.
fn record(stopped: bool) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let wanted =
        if stopped { ("spike", "microservices-sync") } else { ("payment-outage", "monolith") };
    record_fixture::write_some(folder.path(), |plot, system| (plot, system) == wanted).unwrap();
    let trial = folder.path().join(wanted.0).join(wanted.1).join("1");
    let log = fs::read_to_string(trial.join("latency.hlog")).unwrap();
    let short: String = log.split_inclusive('\n').take(LOG_LINES).collect();
    fs::write(trial.join("latency.hlog"), short).unwrap();
    // so that intervals of the warm-up are in a phase too
    let manifest = fs::read_to_string(trial.join("manifest.json")).unwrap();
    fs::write(trial.join("manifest.json"), manifest.replace("\"from_s\": 10", "\"from_s\": 0"))
        .unwrap();
    let met = Met {
        expect: "p(99) < 200ms".to_owned(),
        operation: Operation::Place,
        phase: "before".to_owned(),
        found: Some(0.25),
        met: false,
        why: "not known".to_owned(),
    };
    fs::write(trial.join("thresholds.json"), serde_json::to_vec(&[met]).unwrap()).unwrap();
    (folder, trial)
}

fn read(folder: &Path) -> anyhow::Result<()> {
    export::export(folder, Format::Json).map(drop)
}

/// Reads a record of which one file is replaced by arbitrary or changed bytes.
#[track_caller]
fn check(file: &str, share: u32, stopped: bool, read: fn(&Path) -> anyhow::Result<()>) {
    let (folder, trial) = record(stopped);
    Run::read(folder.path()).unwrap();
    let path = if file == "environment.json" { folder.path().join(file) } else { trial.join(file) };
    let bytes = prop_oneof![
        1 => vec(any::<u8>(), 0..300),
        6 => mutation::of(fs::read(&path).unwrap()),
    ];
    let outcome = cases(share).run(&bytes, |bytes| {
        fs::write(&path, bytes).unwrap();
        if let Err(error) = read(folder.path()) {
            useful(&error, &path);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn logs_of_times() {
    check("latency.hlog", 1, false, read);
    check("latency.hlog", 4, true, read);
}

#[test]
fn manifests() {
    check("manifest.json", 1, false, read);
    check("manifest.json", 4, true, read);
}

#[test]
fn verdicts_and_environments() {
    check("audit.json", 2, false, read);
    check("environment.json", 4, false, read);
    check("thresholds.json", 4, false, read);
}

#[test]
fn tables() {
    for file in ["timeline.csv", "resources.csv", "faults.csv"] {
        check(file, 4, false, read);
        check(file, 8, true, read);
    }
}

#[test]
fn reports() {
    for file in ["manifest.json", "timeline.csv", "faults.csv"] {
        check(file, REPORTS_PER_CASE, false, |folder| report::write(folder).map(drop));
    }
}

#[test]
fn other_forms() {
    let hgrm = |folder: &Path| {
        export::export(folder, Format::OpenMetrics)?;
        export::export(folder, Format::Hgrm).map(drop)
    };
    check("latency.hlog", 8, false, hgrm);
    check("manifest.json", 8, false, hgrm);
}

fn attempts(folder: &Path) {
    let (send, samples) = sync_channel(1);
    let sample = |seq: u64| Sample {
        seq,
        operation: if seq.is_multiple_of(3) { Operation::Get } else { Operation::Place },
        customer: 3,
        amount_cents: 1_250,
        intended_ns: seq * 1_000_000,
        sent_ns: seq * 1_000_000 + 5_000,
        done_ns: seq * 1_000_000 + 900_000,
        waited_ns: 0,
        outcome: Outcome::ALL[seq as usize % 5],
        status: 201,
        trouble: Trouble::None,
        receipt: Receipt::Paid,
        about: None,
        told: None,
        retry: 0,
        again: false,
    };
    send.send((0..30).map(sample).collect()).unwrap();
    drop(send);
    let recording = (folder.to_owned(), "1a".to_owned()).into();
    recorder::write(recording, &samples, &AtomicBool::new(false)).unwrap();
}

fn ledger() -> Ledger {
    let order = |n: u64| OrderRow {
        key: format!("1a-{n:08}"),
        id: format!("018f{n:012x}"),
        status: "paid".to_owned(),
        total_cents: 1_250,
        created_at: 1_767_225_600_000_000,
        settled_at: Some(1_767_225_600_100_000),
        charge_id: None,
    };
    let charge = |n: u64| ChargeRow {
        at_us: 1_767_225_600_050_000,
        event: "captured".to_owned(),
        key: format!("1a-{n:08}"),
        amount_cents: 1_250,
        charge_id: Some(format!("c{n}")),
        n: Some(n),
    };
    let dead = DeadRow {
        source: "charges".to_owned(),
        key: "1a-00000003".to_owned(),
        ..DeadRow::default()
    };
    let orders: Vec<_> = (0..20).map(order).collect();
    Ledger {
        charges: (0..20).map(charge).collect(),
        replicas: vec![orders.clone()],
        dead: vec![dead],
        orders,
    }
}

/// A packed table: its packed bytes are changed, and its rows.
#[track_caller]
fn check_packed(file: &str, read: fn(&Path) -> anyhow::Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    attempts(folder.path());
    ledger().write(folder.path()).unwrap();
    let shown = |row: &OrderRow| ReadRow::new(3, How::Get, 200, &row.key, Some(row.clone()));
    let reads: Vec<ReadRow> = ledger().orders.iter().map(shown).collect();
    write_table(&folder.path().join(files::READS), &reads).unwrap();
    read(folder.path()).unwrap();
    let path = folder.path().join(file);
    let packed = fs::read(&path).unwrap();
    let rows = zstd::decode_all(packed.as_slice()).unwrap();
    let bytes = prop_oneof![
        1 => vec(any::<u8>(), 0..300),
        2 => mutation::of(packed),
        4 => mutation::of(rows).prop_map(|rows| zstd::encode_all(rows.as_slice(), 1).unwrap()),
    ];
    let outcome = cases(2).run(&bytes, |bytes| {
        fs::write(&path, bytes).unwrap();
        if let Err(error) = read(folder.path()) {
            useful(&error, &path);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn histories() {
    check_packed(files::HISTORY, |folder| {
        history::read(folder)?.collect::<anyhow::Result<Vec<_>>>().map(drop)
    });
}

#[test]
fn ledgers() {
    let read = |folder: &Path| Ledger::read(folder).map(drop);
    check_packed("orders.csv.zst", read);
    check_packed("charges.csv.zst", read);
    check_packed("dead.csv.zst", read);
}

/// What cannot be read is unknown to the audit, and what can be is judged, however absurd.
#[test]
fn audits() {
    let judge = |folder: &Path| {
        let manifest = Manifest { key_prefix: "1a".to_owned(), ..Manifest::default() };
        let verdict = audit::record(folder, &manifest);
        assert!(verdict.verdict != Answer::True || verdict.reasons.is_empty());
        Ok(())
    };
    for file in [
        files::HISTORY,
        "orders.csv.zst",
        "orders-2.csv.zst",
        "charges.csv.zst",
        "dead.csv.zst",
        files::READS,
    ] {
        check_packed(file, judge);
    }
}

/// Whoever lists orders may say what he likes: nothing overflows, and nothing grows with his numbers.
#[test]
fn absurd_instants_and_sums_are_judged_digested_and_drawn() {
    let (folder, trial) = record(false);
    let manifest = read::manifest(&trial).unwrap().unwrap();
    let extremes = [i64::MIN, i64::MAX, 0, 1 << 62];
    let mut all = Ledger::read(&trial).unwrap();
    for (n, row) in all.orders.iter_mut().enumerate() {
        let extreme = |shift: usize| extremes[(n + shift) % extremes.len()];
        (row.total_cents, row.created_at) = (extreme(0), extreme(1));
        row.settled_at = Some(extreme(2));
    }
    for (n, row) in all.charges.iter_mut().enumerate() {
        (row.at_us, row.amount_cents) = (extremes[n % 4], extremes[(n + 1) % 4]);
    }
    all.write(&trial).unwrap();
    let orders = all.orders.iter().cloned().map(Ok);
    digest::write(&trial, &manifest, orders).unwrap();
    let verdict = audit::record(&trial, &manifest);
    assert!(verdict.verdict != Answer::True, "{verdict:?}");
    fs::write(trial.join("audit.json"), serde_json::to_vec(&verdict).unwrap()).unwrap();
    let pages = report::write(folder.path()).unwrap();
    assert!(pages.html.exists());
}

#[test]
fn journals() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let line = |charge: &ChargeRow| serde_json::to_string(charge).unwrap() + "\n";
    let valid: String = ledger().charges.iter().map(line).collect();
    fs::write(&path, &valid).unwrap();
    let read = |path: &Path| read_journal(path, &Seals::new(""), &[], |_| Ok(()));
    read(&path).unwrap();
    let bytes = prop_oneof![1 => vec(any::<u8>(), 0..300), 6 => mutation::of(valid.into_bytes())];
    let outcome = cases(1).run(&bytes, |bytes| {
        fs::write(&path, bytes).unwrap();
        if let Err(error) = read(&path) {
            useful(&error, &path);
        }
        Ok(())
    });
    outcome.unwrap();
}

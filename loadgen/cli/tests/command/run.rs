//! A small run: a whole record, a ledger that closes, the same load for every system and seed.

use std::path::{Path, PathBuf};

use record::history;
use record::ledger::Ledger;
use record::read::Run;
use record::{Answer, Attempt, Manifest, Operation, Outcome, Receipt, Verdict, seal};

use crate::bench::Bench;

const TINY: &str = r#"about = "A little of everything."
start = 40
stages = [{ duration = "2s", rate = 40 }]
warm_up = "1s"
drain = "20s"
customers = 2
mix = { place = 60, get = 36, login = 2, signup = 2 }
provider = { latency = "constant:5ms" }
"#;
const FILES: [&str; 9] = [
    "manifest.json",
    "audit.json",
    "history.csv.zst",
    "orders.csv.zst",
    "charges.csv.zst",
    "latency.hlog",
    "timeline.csv",
    "resources.csv",
    "faults.csv",
];

/// Runs the scenario with further arguments; the results are in `latest`.
async fn run(bench: &Bench, arguments: &[&str]) {
    let scenario = bench.file("tiny.toml", TINY);
    let output = bench.call(&[&["run", &scenario][..], arguments].concat()).await;
    // Two busy cores may make a trial invalid; nothing else may be wrong.
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    assert!(told.contains("report: ") && told.contains("audit true"), "{told}");
    bench.is_deserted();
}

fn trial(bench: &Bench, system: &str) -> PathBuf {
    bench.latest().join("tiny").join(system).join("1")
}

fn manifest(folder: &Path) -> Manifest {
    serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

fn attempts(folder: &Path) -> Vec<Attempt> {
    let mut attempts: Vec<_> = history::read(folder).unwrap().map(Result::unwrap).collect();
    attempts.sort_by_key(|attempt| attempt.seq);
    attempts
}

/// The verdict comes from the record alone: again, by whatever way it is asked for, and false when
/// the record is.
async fn judged_again(bench: &Bench, folder: &Path) {
    let path = folder.to_str().unwrap();
    let written = std::fs::read(folder.join("audit.json")).unwrap();
    let verdict: Verdict = serde_json::from_slice(&written).unwrap();
    let again = bench.call(&["audit", path, "--json"]).await;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let trials: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    let told: Verdict = serde_json::from_value(trials[0]["audit"].clone()).unwrap();
    assert_eq!(told, verdict);
    let rewritten = bench.call(&["audit", bench.latest().to_str().unwrap(), "--write"]).await;
    assert!(String::from_utf8_lossy(&rewritten.stdout).contains("audit true"), "{rewritten:?}");
    assert_eq!(std::fs::read(folder.join("audit.json")).unwrap(), written, "the same bytes");

    let attempts = attempts(folder);
    let looks = |a: &&Attempt| {
        a.operation == Operation::Get && a.outcome == Outcome::Ok && a.receipt == Receipt::Paid
    };
    // A few of those that are looked up were declined.
    let look = attempts.iter().find(looks).unwrap();
    assert!(!look.about.is_empty(), "{look:?}");
    let life = bench.call(&["audit", path, "--order", &look.about]).await;
    let life = String::from_utf8(life.stdout).unwrap();
    for part in ["looks it up", "look-up: ok, status 200, paid", "captured, ", "paid (final)"] {
        assert!(life.contains(part), "{part} in {life}");
    }
    let nobody = bench.call(&["audit", path, "--order", "nobody"]).await;
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");

    let copy = bench.path("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in FILES {
        std::fs::copy(folder.join(name), copy.join(name)).unwrap();
    }
    let mut ledger = Ledger::read(&copy).unwrap();
    let lost = ledger.orders.pop().unwrap().key;
    ledger.write(&copy).unwrap();
    let copied = ["audit", copy.to_str().unwrap()];
    let altered = bench.call(&copied).await;
    assert_eq!(altered.status.code(), Some(3), "{altered:?}");
    let told = String::from_utf8_lossy(&altered.stdout).into_owned();
    assert!(told.contains("doubt: orders.csv.zst is not the table that the trial wrote"), "{told}");
    // Whoever seals it anew accuses the system of it.
    let sealed = Manifest { tables: Some(seal::seal(&copy).unwrap()), ..manifest(&copy) };
    std::fs::write(copy.join("manifest.json"), serde_json::to_vec(&sealed).unwrap()).unwrap();
    let found = bench.call(&copied).await;
    assert_eq!(found.status.code(), Some(4), "{found:?}");
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(told.contains("VIOLATION lost: 1") && told.contains(&lost), "{told}");
    std::fs::remove_file(copy.join("charges.csv.zst")).unwrap();
    assert_eq!(bench.call(&copied).await.status.code(), Some(3), "what cannot be read is unknown");
}

#[tokio::test]
async fn the_record_is_whole_and_the_report_comes_from_it_alone() {
    let bench = Bench::new();
    run(&bench, &["-s", "monolith"]).await;
    let folder = trial(&bench, "monolith");
    for name in FILES {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(!folder.join("data").exists(), "the databases are not kept");
    let read = Run::read(&bench.latest()).unwrap();
    assert_eq!((read.trials.len(), read.without_manifest.len()), (1, 0));
    assert!(read.environment["command"].starts_with("loadgen run "), "{:?}", read.environment);

    judged_again(&bench, &folder).await;

    let report = |name: &str| std::fs::read(bench.latest().join(name)).unwrap();
    let summary = report("summary.csv");
    assert!(!summary.is_empty() && !report("report.html").is_empty());
    std::fs::remove_file(bench.latest().join("summary.csv")).unwrap();
    let again = bench.call(&["report", bench.latest().to_str().unwrap()]).await;
    assert!(again.status.success(), "{again:?}");
    assert_eq!(String::from_utf8(summary), String::from_utf8(report("summary.csv")));
}

#[tokio::test]
async fn the_ledger_closes() {
    let bench = Bench::new();
    run(&bench, &["-s", "monolith"]).await;
    let folder = trial(&bench, "monolith");
    let (manifest, attempts) = (manifest(&folder), attempts(&folder));
    let mut scheduled = 0;
    for (operation, counts) in &manifest.requests {
        assert!(counts.closes(), "{operation}: {counts:?}");
        let of = attempts.iter().filter(|a| a.operation == *operation);
        let ok = of.clone().filter(|a| a.outcome == Outcome::Ok).count();
        assert_eq!((of.count() as u64, ok as u64), (counts.scheduled, counts.ok), "{operation}");
        scheduled += counts.scheduled;
    }
    assert_eq!(attempts.len() as u64, scheduled);
    assert!(manifest.requests[&Operation::Place].ok > 30, "{:?}", manifest.requests);

    let verdict = std::fs::read(folder.join("audit.json")).unwrap();
    let verdict: Verdict = serde_json::from_slice(&verdict).unwrap();
    assert_eq!(verdict.verdict, Answer::True, "{verdict:?}");
    let ledger = Ledger::read(&folder).unwrap();
    let prepared = u64::from(manifest.prepared_orders);
    assert_eq!(ledger.orders.len() as u64, manifest.requests[&Operation::Place].ok + prepared);
    assert_eq!(verdict.counts.captured_cents, verdict.counts.paid_cents);
}

/// What was asked of a system, and when.
fn asked(bench: &Bench, system: &str) -> Vec<(u64, Operation, u32, i64, u64)> {
    let attempts = attempts(&trial(bench, system)).into_iter();
    attempts.map(|a| (a.seq, a.operation, a.customer, a.amount_cents, a.intended_ns)).collect()
}

#[tokio::test]
async fn the_load_depends_on_the_seed_alone() {
    let (bench, other) = (Bench::new(), Bench::new());
    run(&bench, &["-s", "monolith", "-s", "microservices-sync", "--seed", "5"]).await;
    let first = manifest(&trial(&bench, "monolith"));
    let hashes = |m: &Manifest| (m.schedule_hash.clone(), m.operations_hash.clone());
    let second = manifest(&trial(&bench, "microservices-sync"));
    assert_eq!(hashes(&first), hashes(&second));
    assert_eq!(asked(&bench, "monolith"), asked(&bench, "microservices-sync"));

    run(&other, &["-s", "monolith", "--seed", "5"]).await;
    assert_eq!(hashes(&first), hashes(&manifest(&trial(&other, "monolith"))));
    assert_eq!(asked(&bench, "monolith"), asked(&other, "monolith"));

    run(&other, &["-s", "monolith", "--seed", "6"]).await;
    let third = manifest(&trial(&other, "monolith"));
    assert_ne!(first.schedule_hash, third.schedule_hash);
    assert_ne!(first.operations_hash, third.operations_hash);
}

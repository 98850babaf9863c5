//! Logs between us and another implementation of HdrHistogram (PyPI's `hdrhistogram`): we read what it
//! has written, and it reads what we have written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use hdrhistogram::Histogram;

use audit::digest;
use load::recorder;
use record::latency::{Metric, Tag, histogram};
use record::read::{Latencies, Spectrum};
use record::{
    FORMAT, GeneratorLimits, Manifest, Operation, Outcome, Phase, Receipt, RequestCounts, Sample,
    Trouble,
};
use report::export::{Format, export};

const QUANTILES: [f64; 5] = [0.0, 0.5, 0.9, 0.99, 1.0];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// As `values` in write_hlog.py.
fn values(second: u64, tag: u64) -> impl Iterator<Item = u64> {
    (0..200).map(move |n| 1 + (n * n * 7_919 + second * 104_729 + tag * 31) % 4_000_000)
}

#[test]
fn we_read_what_another_implementation_wrote() {
    let phases = [("a", 0, 3), ("b", 3, 4)].map(|(name, from_s, to_s)| Phase {
        name: name.to_owned(),
        from_s,
        to_s,
    });
    let read = Latencies::read(&fixtures().join("python.hlog"), &phases, false).unwrap();
    for (phase, seconds) in [(0, 0..3), (1, 3..4)] {
        for (tag, (operation, outcome, metric)) in [
            (Operation::Place, Outcome::Ok, Metric::Response),
            (Operation::Place, Outcome::Unknown, Metric::Response),
            (Operation::Get, Outcome::Ok, Metric::Lag),
        ]
        .into_iter()
        .enumerate()
        {
            let mut expected = histogram().unwrap();
            for value in seconds.clone().flat_map(|second| values(second, tag as u64)) {
                expected.record(value).unwrap();
            }
            let found = read.times(phase, operation, metric, |o| o == outcome);
            assert_eq!(found, Spectrum::of(&expected), "{operation} {outcome} {phase}");
        }
    }
}

/// Python with the package: `HDRHISTOGRAM_PYTHON`, or the one that scripts/install-hdrhistogram makes.
fn python() -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/hdrhistogram/bin/python");
    let named = std::env::var_os("HDRHISTOGRAM_PYTHON").map(PathBuf::from);
    [named, Some(made), Some("python3".into())].into_iter().flatten().find(|python| {
        let import = Command::new(python).args(["-c", "import hdrh.log"]).output();
        import.is_ok_and(|output| output.status.success())
    })
}

/// A second of each outcome, written by the recorder and digested as a trial's.
fn our_log(folder: &Path) -> BTreeMap<(Tag, u64), Histogram<u64>> {
    let (send, samples) = sync_channel(1);
    let mut expected = BTreeMap::new();
    let mut batch = Vec::new();
    for seq in 0..3_000_u64 {
        let (intended_ns, outcome) = (seq * 1_000_000, Outcome::ALL[seq as usize % 3]);
        let (sent_ns, done_ns) = (intended_ns + 7_000, intended_ns + seq * seq * 70);
        let done_ns = done_ns.max(sent_ns);
        batch.push(Sample {
            seq,
            operation: Operation::Get,
            customer: 0,
            amount_cents: 0,
            intended_ns,
            sent_ns,
            done_ns,
            waited_ns: 0,
            outcome,
            status: 200,
            trouble: Trouble::None,
            receipt: Receipt::None,
            about: None,
            told: None,
            retry: 0,
            again: false,
        });
        let response_ns = done_ns - intended_ns;
        // A hundredth of a time and more is told.
        let touched = (response_ns < 7_000 * 100).then_some([
            (Metric::ResponseTouched, response_ns / 1_000),
            (Metric::ResponseLeast, (response_ns - 7_000) / 1_000),
        ]);
        let plain = [
            (Metric::Response, response_ns / 1_000),
            (Metric::Service, (done_ns - sent_ns) / 1_000),
            (Metric::Lag, 7),
        ];
        for (metric, us) in plain.into_iter().chain(touched.into_iter().flatten()) {
            let key = (Tag { operation: Operation::Get, outcome, metric }, seq / 1_000);
            let all: &mut Histogram<u64> =
                expected.entry(key).or_insert_with(|| histogram().unwrap());
            all.record(us.max(1)).unwrap();
        }
    }
    send.send(batch).unwrap();
    drop(send);
    let recording = (folder.to_owned(), "1".to_owned()).into();
    recorder::write(recording, &samples, &AtomicBool::new(false)).unwrap();
    let limits = GeneratorLimits { timeout_s: 5.0, drain_s: 5.0, ..GeneratorLimits::default() };
    let phases = vec![Phase { name: "all".to_owned(), from_s: 0, to_s: 3 }];
    let requests = [(Operation::Get, RequestCounts::default())].into();
    let manifest = Manifest {
        format: FORMAT,
        interval_s: 1,
        duration_s: 3,
        limits,
        phases,
        requests,
        ..Manifest::default()
    };
    digest::write(folder, &manifest, []).unwrap();
    fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    fs::write(folder.join("resources.csv"), "").unwrap();
    expected
}

/// Runs a script of the fixtures; `None`, said aloud, where there is no such Python.
fn run(script: &str, arguments: &[&Path]) -> Option<String> {
    let Some(python) = python() else {
        assert!(std::env::var_os("CI").is_none(), "CI runs scripts/install-hdrhistogram first");
        eprintln!("skipped: no Python with hdrhistogram; scripts/install-hdrhistogram gets it");
        return None;
    };
    let read = Command::new(python).arg(fixtures().join(script)).args(arguments).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    Some(String::from_utf8(read.stdout).unwrap())
}

#[test]
fn another_implementation_reads_what_we_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let expected = our_log(folder.path());
    let log = folder.path().join("latency.hlog");
    let Some(found) = run("read_hlog.py", &[&log]) else { return };
    let mut lines = String::new();
    for ((tag, second), all) in &expected {
        let quantiles = QUANTILES.map(|q| all.value_at_quantile(q).to_string()).join(" ");
        writeln!(lines, "{tag} {second} {} {quantiles}", all.len()).unwrap();
    }
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&found), sorted(&lines));
}

#[test]
fn another_implementation_agrees_with_our_spectra() {
    let folder = tempfile::tempdir().unwrap();
    let trial = folder.path().join("scenario/system/1");
    fs::create_dir_all(&trial).unwrap();
    our_log(&trial);
    export(folder.path(), Format::Hgrm).unwrap();
    for metric in ["response", "service"] {
        let spectrum = trial.join(format!("all-get-{metric}.hgrm"));
        let arguments = [&*spectrum, &trial.join("latency.hlog"), Path::new(metric)];
        let Some(found) = run("check_hgrm.py", &arguments) else { return };
        let (rows, count) = found.trim().split_once(' ').unwrap();
        assert!(rows.parse::<u32>().unwrap() > 30 && count == "3000", "{found}");
    }
}

//! Harm to the disk: proved, taken back, survived.

use std::path::PathBuf;

use record::FaultRow;
use rustix::process::{Pid, Signal, kill_process};
use supervise::disk;
use tokio::process::Child;

use crate::bench::{Bench, end, until};

const LOAD: &str = r#"about = "Harm to the disk."
start = 40
stages = [{ duration = "8s", rate = 40 }]
warm_up = "1s"
drain = "30s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }
"#;

/// A fault from second 2 to second 5.
fn scenario(bench: &Bench, fault: &str) -> String {
    let fault = format!("[[fault]]\nat = \"2s\"\nfor = \"3s\"\n{fault}");
    bench.file("harm.toml", &format!("{LOAD}{fault}"))
}

/// The reason why a test is skipped: on a machine of a user's it may be, where CI is root not.
fn skip(lacks: Option<String>) -> bool {
    let Some(reason) = lacks else { return false };
    let could = std::env::var_os("CI").is_some() && rustix::process::geteuid().is_root();
    assert!(!could, "{reason}");
    eprintln!("skipped: {reason}");
    true
}

async fn no_disk(bench: &Bench) -> bool {
    skip(disk::lacks(&bench.path(".")).await.unwrap())
}

/// What mount and losetup would show of this test.
fn left(bench: &Bench) -> Vec<String> {
    let mark = bench.path("").to_string_lossy().into_owned();
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(&mark)).map(str::to_owned);
    let devices = std::fs::read_dir("/sys/block").unwrap().flatten();
    let backing = devices
        .filter_map(|device| std::fs::read_to_string(device.path().join("loop/backing_file")).ok());
    mounts.chain(backing.filter(|file| file.contains(&mark))).collect()
}

fn trial(bench: &Bench, system: &str) -> PathBuf {
    bench.latest().join("harm").join(system).join("1")
}

fn faults(bench: &Bench, system: &str) -> Vec<FaultRow> {
    let mut table = csv::Reader::from_path(trial(bench, system).join("faults.csv")).unwrap();
    table.deserialize().map(Result::unwrap).collect()
}

/// Runs a fault on a system: whoever was told "accepted" has an order, and nothing is left.
async fn harmed(bench: &Bench, fault: &str, system: &str) -> FaultRow {
    let output = bench.call(&["run", &scenario(bench, fault), "-s", system]).await;
    // Two busy cores may make a trial invalid; nothing else may be wrong.
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    assert!(told.contains("audit true"), "{told}");
    bench.is_deserted();
    assert!(left(bench).is_empty(), "{:?}", left(bench));
    assert!(!trial(bench, system).join("data").exists(), "the databases are not kept");
    assert!(!trial(bench, system).join(disk::IMAGE).exists(), "nor is the image");
    let row = faults(bench, system).remove(0);
    assert!(row.effective_s.is_some() && row.healed_s.is_some(), "{row:?}");
    row
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let bench = Bench::new();
    if no_disk(&bench).await {
        return;
    }
    let fault = "harm = \"disk\"\nkind = \"power-cut\"";
    let row = harmed(&bench, fault, "microservices-sync").await;
    assert_eq!(row.processes, "auth payments orders", "the card network keeps its power");
    for part in ["in state T", "EIO", "SIGKILL", "the other is gone", "e2fsck: clean"] {
        assert!(row.effect_proof.contains(part), "{row:?}");
    }
    assert!(row.heal_proof.contains("mounted") && row.heal_proof.contains("orders: ready"));
}

#[tokio::test]
async fn a_store_that_never_syncs_is_found_out() {
    let bench = Bench::new();
    if no_disk(&bench).await {
        return;
    }
    let scenario = scenario(&bench, "harm = \"disk\"\nkind = \"power-cut\"");
    let output = bench.call(&["run", &scenario, "-s", "control-synchronous-off"]).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        matches!(output.status.code(), Some(0 | 3)) && told.contains("as it must be"),
        "{told}"
    );
    let verdict =
        std::fs::read_to_string(trial(&bench, "control-synchronous-off").join("audit.json"));
    let verdict: record::Verdict = serde_json::from_str(&verdict.unwrap()).unwrap();
    let lost = verdict.violations.iter().find(|v| v.class == "lost").unwrap();
    assert!(lost.count > 20, "{lost:?}");
    assert!(left(&bench).is_empty(), "{:?}", left(&bench));
}

#[tokio::test]
async fn a_full_disk_refuses_and_then_goes_on() {
    let bench = Bench::new();
    if no_disk(&bench).await {
        return;
    }
    let row = harmed(&bench, "harm = \"disk\"\nkind = \"full\"", "monolith").await;
    assert!(row.effect_proof.contains("statvfs: 0 bytes free"), "{row:?}");
    assert!(row.heal_proof.contains("bytes free"), "{row:?}");
}

#[tokio::test]
async fn slow_fsyncs_are_counted_and_end() {
    let bench = Bench::new();
    if skip(faults::fsync::lacks().await.unwrap()) {
        return;
    }
    let fault = "harm = \"orders\"\nkind = \"slow-fsync\"\ndelay = \"30ms\"";
    let row = harmed(&bench, fault, "monolith").await;
    assert!(row.effect_proof.contains("(DELAYED)"), "{row:?}");
    assert!(row.heal_proof.contains("no thread stopped") && harms(&row) > 5, "{row:?}");
}

#[tokio::test]
async fn failing_fsyncs_are_answered_as_errors_and_end() {
    let bench = Bench::new();
    if skip(faults::fsync::lacks().await.unwrap()) {
        return;
    }
    let fault = "harm = \"orders\"\nkind = \"failing-fsync\"\nshare = 0.5";
    let row = harmed(&bench, fault, "monolith").await;
    assert!(row.effect_proof.contains("EIO") && row.effect_proof.contains("(INJECTED)"), "{row:?}");
    assert!(row.heal_proof.contains("no thread stopped") && harms(&row) > 5, "{row:?}");
}

/// How many calls strace says it harmed.
fn harms(row: &FaultRow) -> u32 {
    let words: Vec<&str> = row.heal_proof.split(' ').collect();
    let at = words.iter().position(|word| *word == "calls").unwrap();
    words[at - 1].parse().unwrap()
}

/// A run in whose second 2 the disk is harmed for as long as the test wants.
fn long(bench: &Bench, kind: &str) -> Child {
    let fault =
        format!("[[fault]]\nat = \"2s\"\nfor = \"200s\"\nharm = \"disk\"\nkind = {kind:?}\n");
    let load = LOAD.replace("8s", "300s");
    let scenario = bench.file("harm.toml", &format!("{load}{fault}"));
    bench.start(&["run", &scenario, "-s", "monolith"])
}

/// Whether the trial's disk is mounted; before it there is an attempt whether one can be.
fn is_mounted(bench: &Bench) -> bool {
    left(bench).iter().any(|line| line.contains("harm/monolith/1/data "))
}

fn tell(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn ctrl_c_while_the_power_is_off_leaves_no_mount() {
    let bench = Bench::new();
    if no_disk(&bench).await {
        return;
    }
    let child = long(&bench, "power-cut");
    until("the mount", || is_mounted(&bench)).await;
    until("the cut", || left(&bench).is_empty()).await;
    tell(&child, Signal::INT);
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    bench.is_deserted();
    assert!(left(&bench).is_empty(), "{:?}", left(&bench));
    let row = faults(&bench, "monolith").remove(0);
    assert!(row.effect_proof.contains("the other is gone"), "{row:?}");
    assert!(row.heal_proof.contains("monolith: ready"), "{row:?}");
}

#[tokio::test]
async fn a_killed_harness_leaves_a_journal_that_takes_the_mount_back() {
    let bench = Bench::new();
    if no_disk(&bench).await {
        return;
    }
    let child = long(&bench, "full");
    until("the mount", || is_mounted(&bench)).await;
    tell(&child, Signal::KILL);
    end(child).await;
    assert!(is_mounted(&bench));
    let told = supervise::undo::clean_up(&bench.out()).unwrap();
    assert!(told.done.iter().any(|text| text.contains("unmounted")), "{told:?}");
    assert!(left(&bench).is_empty(), "{:?}", left(&bench));
    bench.is_deserted();
}

/// The others are run all the same.
#[tokio::test]
async fn what_a_machine_cannot_do_is_not_run_and_said() {
    let bench = Bench::new();
    let cut = scenario(&bench, "harm = \"disk\"\nkind = \"power-cut\"");
    let slow = bench.file(
        "slow.toml",
        &format!(
            "{LOAD}[[fault]]\nat = \"2s\"\nfor = \"3s\"\nharm = \"orders\"\nkind = \"slow-fsync\"\ndelay = \"1ms\"\n"
        ),
    );
    let output = bench.call_without_path(&["run", &cut, &slow, "-s", "monolith"]).await;
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("harm             not run: no disk of its own"), "{told}");
    assert!(told.contains("slow             not run: fsyncs cannot be harmed: strace"), "{told}");
    bench.is_clean();

    let quiet = bench.file("quiet.toml", &LOAD.replace("8s", "2s"));
    let output = bench.call_without_path(&["run", &cut, &quiet, "-s", "monolith"]).await;
    assert!(matches!(output.status.code(), Some(3 | 5)), "{output:?}");
    assert!(bench.latest().join("quiet/monolith/1/manifest.json").is_file());
    let read = record::read::Run::read(&bench.latest()).unwrap();
    assert!(read.environment["not run"].starts_with("harm ("), "{:?}", read.environment);
}

/// The card network must keep its journal through every fault.
#[tokio::test]
async fn a_provider_that_would_be_harmed_is_refused() {
    let bench = Bench::new();
    let system = bench.monolith("{outside}/provider.jsonl", "{data}/provider.jsonl");
    let cut = scenario(&bench, "harm = \"disk\"\nkind = \"power-cut\"");
    let output = bench.call(&["run", &cut, "-s", &system]).await;
    crate::bench::says(&output, 1, &["the card network", "{outside}"]);
    bench.is_clean();
}

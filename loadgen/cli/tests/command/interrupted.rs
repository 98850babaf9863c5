//! Ctrl-C, SIGTERM and SIGHUP: what was measured is written and marked, and nobody stays behind.

use std::path::PathBuf;

use record::{Manifest, Operation};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::bench::{Bench, end, until};

const LONG: &str = r#"about = "Longer than any test."
start = 50
stages = [{ duration = "300s", rate = 50 }]
warm_up = "0s"
drain = "20s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }
"#;
/// About a second of load.
const CHARGES: usize = 50;

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The only trial's folder, when it is there.
fn trial(bench: &Bench) -> Option<PathBuf> {
    let results = std::fs::read_dir(bench.out()).ok()?.flatten().next()?;
    Some(results.path().join("long/monolith/1"))
}

/// Lines in the provider's journal.
fn charges(bench: &Bench) -> usize {
    let journal = trial(bench).map(|folder| folder.join("outside/provider.jsonl"));
    let text = journal.and_then(|path| std::fs::read_to_string(path).ok());
    text.map_or(0, |text| text.lines().count())
}

async fn check(how: Signal, scenario: &str, when: impl Fn(&Bench) -> bool) {
    let bench = Bench::new();
    let scenario = bench.file("long.toml", scenario);
    let child = bench.start(&["run", &scenario, "-s", "monolith"]);
    until("charges", || charges(&bench) >= CHARGES).await;
    until("its moment", || when(&bench)).await;
    signal(&child, how);
    let output = end(child).await;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{out}{err}");
    assert!(out.contains("interrupted") && out.contains("report: "), "{out}");
    assert!(err.contains("stopping") && !err.contains("panicked"), "{err}");
    bench.is_deserted();
    let text = std::fs::read(bench.latest().join("long/monolith/1/manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&text).unwrap();
    assert!(manifest.validity.interrupted && !manifest.validity.valid, "{manifest:?}");
    let counts = manifest.requests[&Operation::Place];
    assert!(counts.closes() && counts.ok as usize >= CHARGES / 2, "{counts:?}");
    let again = bench.call(&["report", bench.latest().to_str().unwrap()]).await;
    assert!(again.status.success(), "{again:?}");
}

#[tokio::test]
async fn ctrl_c_writes_what_was_measured() {
    check(Signal::INT, LONG, |_| true).await;
}

#[tokio::test]
async fn sigterm_writes_what_was_measured() {
    check(Signal::TERM, LONG, |_| true).await;
}

/// As a closed terminal sends it.
#[tokio::test]
async fn sighup_writes_what_was_measured() {
    check(Signal::HUP, LONG, |_| true).await;
}

#[tokio::test]
async fn a_fault_that_is_under_way_is_healed() {
    let fault = "[[fault]]\nat = \"5s\"\nfor = \"200s\"\nharm = \"payments\"\nkind = \"pause\"\n";
    check(Signal::INT, &format!("{LONG}{fault}"), Bench::has_stopped).await;
}

/// There is nothing to write yet.
#[tokio::test]
async fn an_early_ctrl_c_leaves_nothing() {
    let bench = Bench::new();
    let slow = LONG.replace("customers = 2", "customers = 2000");
    let scenario = bench.file("long.toml", &slow);
    let child = bench.start(&["run", &scenario, "-s", "monolith"]);
    until("the preparation", || charges(&bench) >= 2).await;
    signal(&child, Signal::INT);
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    bench.is_clean();
}

/// A process that is never ready is not waited for.
#[tokio::test]
async fn a_ctrl_c_while_a_process_starts_leaves_nothing() {
    let bench = Bench::new();
    let system = bench.monolith("{port:shop}/readyz", "{port:shop}/nowhere");
    let scenario = bench.file("long.toml", LONG);
    let child = bench.start(&["run", &scenario, "-s", &system]);
    // The command, the provider, the monolith.
    until("the start", || bench.processes().len() >= 3).await;
    signal(&child, Signal::INT);
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    bench.is_clean();
}

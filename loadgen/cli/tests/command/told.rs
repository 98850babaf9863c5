//! What a run says of itself: its scorecard in lines that fit, what it tells a CI service, which trials it ran again,
//! and how it compares with another.

use std::path::Path;

use record::Manifest;
use record::read::Run;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::bench::{Bench, end, root, says};

const TINY: &str = r#"about = "As short as can be."
start = 40
stages = [{ duration = "1s", rate = 40 }]
warm_up = "0s"
customers = 1
mix = { place = 1 }
provider = { latency = "constant:5ms" }
"#;
const OLD: &str = "loadgen/cli/tests/fixtures/record-ff04b73";

#[tokio::test]
async fn the_last_lines_are_the_scorecard_and_all_lines_fit() {
    let bench = Bench::new();
    let scenario = bench.file("tiny.toml", TINY);
    let looks = [("LOADGEN_QUIET_WITHIN", "1s")];
    let output = bench.call_with(&looks, &["run", &scenario, "-s", "monolith"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let (line, card) = text.split_once("\ntiny\n").unwrap();
    assert!(line.contains("tiny") && line.contains("audit true"), "{text}");
    let rows: Vec<&str> = card.lines().collect();
    assert!(rows[0].ends_with("accepted   in time      p99  lost twice CPU/order"), "{text}");
    assert!(rows[1].starts_with("  monolith  ") && rows.last().unwrap().starts_with("report: "));
    for line in text.lines().filter(|line| !line.starts_with("report: ")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(
        progress.contains("tiny · monolith · trial 1: about 7 s left, 1 s of load"),
        "{progress}"
    );
    let run = Run::read(&bench.latest()).unwrap();
    assert!(run.environment.contains_key("other load before trials"), "{:?}", run.environment);
    let page = std::fs::read_to_string(bench.latest().join("summary.md")).unwrap();
    assert!(page.contains("| tiny | monolith | ") && page.lines().count() < 20, "{page}");
}

/// Generator and system have one core between them: the trial is void whatever else the machine does.
#[tokio::test]
async fn a_void_trial_is_run_again_and_a_ci_service_is_told() {
    let bench = Bench::new();
    let scenario = bench.file("void.toml", TINY);
    let summary = bench.path("job.md");
    let set = [("LOADGEN_RERUNS", "1"), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    let arguments = ["run", &scenario, "-s", "monolith", "--ci", "github"];
    let output = end(on_one_core(|| bench.command(&arguments).envs(set).spawn().unwrap())).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let trials = bench.latest().join("void/monolith");
    let manifest = |name: &str| -> Manifest {
        let bytes = std::fs::read(trials.join(name).join("manifest.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let (first, last) = (manifest("1-void-1"), manifest("1"));
    assert_eq!((first.rerun, last.rerun, last.trial), (0, 1, 1));
    assert_eq!(first.schedule_hash, last.schedule_hash, "the same is asked again");
    let run = Run::read(&bench.latest()).unwrap();
    assert_eq!(run.environment["void trials run again"], "1: void/monolith/1");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let annotations: Vec<&str> = told.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(annotations.len(), 1, "{told}");
    let title = "::warning title=void · monolith · trial 1%2C run 2::measurement: INVALID: ";
    assert!(annotations[0].starts_with(title), "{told}");
    let xml = std::fs::read_to_string(bench.latest().join("junit.xml")).unwrap();
    assert!(xml.contains("<skipped message=\"run again; INVALID"), "{xml}");
    assert!(xml.contains("failures=\"0\" errors=\"1\""), "{xml}");
    assert!(std::fs::read_to_string(summary).unwrap().contains("| void | monolith | 0/2 | "));
    bench.is_deserted();
}

/// What is started meanwhile may use one core.
fn on_one_core<T>(start: impl FnOnce() -> T) -> T {
    let all = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|core| all.is_set(*core)).unwrap());
    sched_setaffinity(None, &one).unwrap();
    let started = start();
    sched_setaffinity(None, &all).unwrap();
    started
}

#[tokio::test]
async fn completions_know_scenarios_and_systems() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = String::from_utf8(bench.call(&["completions", shell]).await.stdout).unwrap();
        for name in ["payment-outage", "microservices-async"] {
            assert!(text.contains(name), "{name} is not among what {shell} completes");
        }
    }
    let mut elsewhere = bench.command(&["completions", "bash"]);
    let child = elsewhere.current_dir(bench.path("")).spawn().unwrap();
    let output = end(child).await;
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn two_runs_are_compared_if_they_may_be() {
    let bench = Bench::new();
    let (a, b) = (bench.path("a"), bench.path("b"));
    copy(&root().join(OLD), &a);
    copy(&root().join(OLD), &b);
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let output = bench.call(&["compare", a, b]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("0 of 21 figures differ"), "{output:?}");
    assert!(text.contains("fixture · microservices-async (1 pair of trials)"), "{text}");
    let json = bench.call(&["compare", a, b, "--json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["systems"][0]["figures"][0]["claim"], "too-few");
    let path = Path::new(b).join("environment.json");
    let elsewhere =
        std::fs::read_to_string(&path).unwrap().replace("\"host\": \"", "\"host\": \"not-");
    std::fs::write(path, elsewhere).unwrap();
    says(&bench.call(&["compare", a, b]).await, 1, &["different machines", "host: "]);
    says(&bench.call(&["compare", a, "/no/such"]).await, 1, &["/no/such", "a readable folder"]);
}

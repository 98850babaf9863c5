//! A small search, for real: its record, its report, its answers to bad settings and to Ctrl-C.

use std::path::Path;

use audit::capacity::replay::Found;
use audit::capacity::search::{Bound, Ending, Judged};
use record::read::Run;
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, end, says, until};

/// The machine that runs tests is busy: a late generator is no matter here, so nothing is invalid.
const TINY: &str = r#"about = "A little of everything."
seed = 7
start = 1
stages = [{ duration = "60s", rate = 1 }]
warm_up = "1s"
drain = "20s"
objective = "5s"
customers = 2
mix = { place = 60, get = 40 }
limits = { send_lag = "10s" }
provider = { latency = "constant:5ms" }

[[fault]]
at = "5s"
for = "5s"
harm = "payments"
kind = "kill"
"#;

fn rows(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("capacity.csv")).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn a_search_leaves_a_record_that_its_report_comes_from() {
    let bench = Bench::new();
    let scenario = bench.file("tiny.toml", TINY);
    let arguments = [
        "capacity",
        &scenario,
        "monolith",
        "--from",
        "20",
        "--to",
        "40",
        "--step",
        "5s",
        "--warm-up",
        "1s",
        "--trials",
        "2",
        "--json",
    ];
    let output = bench.call(&arguments).await;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A hypervisor that takes the machine away may still make a trial invalid.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{out}{err}");
    assert!(err.contains("the curve and 1 fault are left out"), "{err}");
    bench.is_deserted();

    let found = Found::read(&bench.latest()).unwrap();
    assert_eq!(out.trim_end(), serde_json::to_string_pretty(&found).unwrap());
    let run = Run::read(&bench.latest()).unwrap();
    assert_eq!((run.trials.len(), run.without_manifest.len()), (found.steps.len(), 0));
    let first = &run.trials.iter().find(|t| t.manifest.scenario == "tiny-at-20").unwrap().manifest;
    assert_eq!((first.seed, first.warm_up_s, first.duration_s), (7, 1, 6));
    let answer = found.capacities[0].answer;
    if found.steps.iter().all(|step| step.judged == Judged::Kept) {
        assert_eq!((answer.ending, answer.bound), (Ending::AtLeast, Bound::Asked), "{err}");
        let rates: Vec<u32> = found.steps.iter().map(|s| s.rate_per_s).collect();
        assert_eq!(rates, [20, 40, 40]);
    }

    if found.capacities[0].answer.kept.is_some() {
        let used = &found.capacities[0].used;
        let plays = |one: &&audit::capacity::used::Used| one.process == "monolith";
        assert_eq!(used.iter().find(plays).unwrap().roles, ["auth", "orders", "payments"]);
        assert!(err.contains("cores used at ") && err.contains("auth+orders+payments"), "{err}");
    }

    let before = rows(&bench.latest());
    assert_eq!(before.len(), 1 + found.steps.len());
    assert!(before[0].starts_with("system,rate_per_s,trial,valid,judged,reason,"), "{before:?}");
    std::fs::remove_file(bench.latest().join("capacity.csv")).unwrap();
    std::fs::remove_file(bench.latest().join("charts/capacity.png")).unwrap();
    let again = bench.call(&["report", bench.latest().to_str().unwrap()]).await;
    assert!(again.status.success(), "{again:?}");
    assert_eq!(rows(&bench.latest()), before);
    assert!(bench.latest().join("charts/capacity.png").is_file());
    let latest = bench.latest();
    let export = ["export", latest.to_str().unwrap(), "--format", "json"];
    assert!(bench.call(&export).await.status.success());
}

#[tokio::test]
async fn ctrl_c_writes_what_was_found() {
    let bench = Bench::new();
    let scenario = bench.file("tiny.toml", TINY);
    let child = bench.start(&[
        "capacity",
        &scenario,
        "monolith",
        "--from",
        "20",
        "--to",
        "20",
        "--step",
        "5s",
        "--warm-up",
        "0s",
        "--trials",
        "15",
    ]);
    let has_second = || {
        let results = std::fs::read_dir(bench.out()).into_iter().flatten().flatten().next();
        results.is_some_and(|r| r.path().join("tiny-at-20/monolith/2").exists())
    };
    until("the second trial", has_second).await;
    kill_process(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(), Signal::INT).unwrap();
    let output = end(child).await;
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(out.contains("unfinished: ") && out.contains("report: "), "{out}");
    bench.is_deserted();
    let found = Found::read(&bench.latest()).unwrap();
    assert_eq!(found.capacities[0].answer.ending, Ending::Unfinished);
    assert!(!rows(&bench.latest()).is_empty());
}

async fn check(arguments: &[&str], code: i32, parts: &[&str]) {
    let bench = Bench::new();
    let output = bench.call(&[&["capacity"], arguments].concat()).await;
    if code == 1 {
        says(&output, code, parts);
    }
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{err}");
    assert!(parts.iter().all(|part| err.contains(part)), "{err}");
    bench.is_clean();
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    check(&["stedy", "monolith"], 1, &["did you mean steady?"]).await;
    check(&["steady", "monolit"], 1, &["did you mean monolith?"]).await;
    check(&[], 2, &["<SCENARIO>"]).await;
    check(&["steady", "--from", "0"], 1, &["--from 0"]).await; // on the default systems
    check(&["steady", "monolith", "monolith"], 1, &["monolith is named twice"]).await;
    check(&["steady", "monolith", "--from", "0"], 1, &["--from 0", "1 ≤ from"]).await;
    check(&["steady", "monolith", "--to", "20"], 1, &["--from 50 and --to 20"]).await;
    check(&["steady", "monolith", "--step", "4s"], 1, &["--step is 4s", "at least 5"]).await;
    check(&["steady", "monolith", "--warm-up", "1500ms"], 1, &["--warm-up is 1500ms"]).await;
    check(&["steady", "monolith", "--keeps", "99"], 2, &["like 99%", "\"99\""]).await;
    check(&["steady", "monolith", "--trials", "0"], 2, &["--trials"]).await;
}

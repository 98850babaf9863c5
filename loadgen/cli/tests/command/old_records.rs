//! A record of another year: what revision ff04b73 wrote is read, drawn and judged as it was then.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bench::{Bench, root};

/// Three systems, 9 s at 40/s, payments killed for 2 s; written by revision ff04b73.
const FIXTURE: &str = "loadgen/cli/tests/fixtures/record-ff04b73";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn fixture(bench: &Bench) -> String {
    let place = bench.path("old");
    copy(&root().join(FIXTURE), &place);
    place.to_str().unwrap().to_owned()
}

/// A row by the names of its columns.
type Row = BTreeMap<String, String>;

fn table(path: &Path) -> Vec<Row> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}

#[tokio::test]
async fn an_old_record_is_reported_as_it_was() {
    let bench = Bench::new();
    let place = fixture(&bench);
    let report = bench.call(&["report", &place]).await;
    assert_eq!(report.status.code(), Some(0), "{report:?}");
    let place = Path::new(&place);
    let [before, phases, trials] =
        ["summary.expected.csv", "summary.csv", "trials.csv"].map(|name| table(&place.join(name)));
    assert_eq!((before.len(), trials.len()), (phases.len(), 3));
    for row in &before {
        let is_of =
            |other: &&Row, names: &[&str]| names.iter().all(|name| other[*name] == row[*name]);
        let trial = trials.iter().find(|t| is_of(t, &["scenario", "system", "trial"])).unwrap();
        let place = ["scenario", "system", "trial", "phase", "operation"];
        let phase = phases.iter().find(|p| is_of(p, &place)).unwrap();
        for (name, value) in row {
            // What is of a whole trial has a table of its own since.
            let now = match name.strip_prefix("trial_") {
                Some(of_trial) => &trial[of_trial],
                None => phase.get(name).or(trial.get(name)).unwrap(),
            };
            assert_eq!(now, value, "{name} of {phase:?}");
        }
    }
    let page = std::fs::read_to_string(place.join("report.html")).unwrap();
    for system in ["monolith", "microservices-sync", "microservices-async"] {
        assert!(page.contains(system), "{system} is not in the report");
    }
}

#[tokio::test]
async fn an_old_record_is_judged_as_it_was() {
    let bench = Bench::new();
    let place = fixture(&bench);
    let audit = bench.call(&["audit", &place, "--json"]).await;
    assert_eq!(audit.status.code(), Some(0), "{audit:?}");
    let trials: Vec<serde_json::Value> = serde_json::from_slice(&audit.stdout).unwrap();
    assert_eq!(trials.len(), 3);
    for trial in trials {
        let system = trial["system"].as_str().unwrap();
        let before = Path::new(&place).join("fixture").join(system).join("1/audit.json");
        let before: serde_json::Value =
            serde_json::from_slice(&std::fs::read(before).unwrap()).unwrap();
        for part in ["verdict", "safety", "liveness"] {
            assert_eq!(trial["audit"][part], before[part], "{system}: {part}");
        }
        // Later audits count more; what was counted then comes to the same.
        for (name, count) in before["counts"].as_object().unwrap() {
            assert_eq!(&trial["audit"]["counts"][name], count, "{system}: {name}");
        }
        for found in before["violations"].as_array().unwrap() {
            let class = &found["class"];
            let now = trial["audit"]["violations"].as_array().unwrap();
            let now = now.iter().find(|v| &v["class"] == class);
            assert_eq!(now.map(|v| &v["count"]), Some(&found["count"]), "{system}: {class}");
        }
    }
}

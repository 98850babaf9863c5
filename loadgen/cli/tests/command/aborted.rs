//! A condition of the scenario ends a trial early: a whole record that says so, and the run goes on.

use record::{Manifest, Operation};

use crate::bench::Bench;

/// The load would last 60 s; payments are dead from second 2 on.
const HOPELESS: &str = r#"about = "It dies and nobody waits for it."
start = 50
stages = [{ duration = "60s", rate = 50 }]
warm_up = "0s"
drain = "20s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }

[[fault]]
at = "2s"
for = "57s"
harm = "payments"
kind = "kill"

[[threshold]]
expect = "failed < 1%"

[[abort]]
when = "failed > 50%"
over = "3s"
"#;

fn manifest(bench: &Bench, trial: u32) -> Manifest {
    let path = bench.latest().join(format!("hopeless/monolith/{trial}/manifest.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_hopeless_trial_ends_early_and_the_next_one_is_run() {
    let bench = Bench::new();
    let scenario = bench.file("hopeless.toml", HOPELESS);
    let output = bench.call(&["run", &scenario, "-s", "monolith", "--trials", "2"]).await;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{out}{err}");
    // Each with its trial, and in the scorecard.
    assert_eq!(out.matches("ABORTED: aborted at ").count(), 4, "{out}{err}");
    assert!(!out.contains("interrupted") && !out.contains("BROKEN"), "{out}");
    bench.is_deserted();
    for trial in [1, 2] {
        let manifest = manifest(&bench, trial);
        let validity = &manifest.validity;
        assert!(!validity.valid && !validity.interrupted, "{validity:?}");
        let aborted = validity.aborted.as_ref().unwrap();
        assert!((4..30).contains(&aborted.at_s), "{aborted:?}");
        assert!(aborted.reason.starts_with("failed > 50% over 3s of all op"), "{aborted:?}");
        let place = manifest.requests[&Operation::Place];
        assert!(place.closes() && place.failed > 50 && place.ok > 50, "{place:?}");
        // 50 per second up to the abort, not 3,000.
        assert!(place.scheduled < 50 * 40, "{place:?}");
    }
    let folder = bench.latest().join("hopeless/monolith/1");
    assert!(!folder.join("thresholds.json").exists(), "what was cut short is not judged");
    let audit = std::fs::read_to_string(folder.join("audit.json")).unwrap();
    assert!(audit.contains("\"verdict\": \"true\""), "{audit}");
    let page = std::fs::read_to_string(bench.latest().join("report.html")).unwrap();
    assert!(page.contains("a condition of the scenario ended it at "), "the page names the reason");
}

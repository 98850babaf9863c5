//! A long load in small: thirds are compared, files that grow are named, and the promise is judged.

use audit::drift::Drift;
use record::GENERATOR;
use record::read::Run;

use crate::bench::Bench;

/// As scenarios/soak.toml, in seconds.
const SHORT: &str = r#"about = "A soak of no length."
start = 60
stages = [{ duration = "25s", rate = 60 }]
warm_up = "1s"
drain = "20s"
customers = 3
mix = { place = 70, get = 30 }
provider = { latency = "constant:5ms" }

[[phase]]
name = "first third"
from = "1s"
to = "9s"

[[phase]]
name = "middle third"
from = "9s"
to = "17s"

[[phase]]
name = "last third"
from = "17s"
to = "25s"

[[threshold]]
expect = "drift < 100000%"
"#;

#[tokio::test]
async fn the_first_third_is_held_against_the_last() {
    let bench = Bench::new();
    let scenario = bench.file("short.toml", SHORT);
    let output = bench.call(&["run", &scenario, "-s", "microservices-async"]).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let run = Run::read(&bench.latest()).unwrap();
    let trial = &run.trials[0];
    let drift = Drift::of(trial).unwrap();
    let has = |what: &str| drift.rows.iter().any(|row| row.what == what);
    for what in ["CPU per completed order", "accepted p99", "completed p99"] {
        // A percentile of too few values is none.
        assert!(has(what) || what.ends_with("p99"), "{what}: {drift:?}");
    }
    for process in ["auth", "orders", "payments", "broker", "provider", GENERATOR] {
        assert!(has(&format!("memory of {process}")), "{process}: {drift:?}");
        assert!(has(&format!("descriptors of {process}")), "{process}: {drift:?}");
    }
    let files = drift.rows.iter().filter(|row| row.what.starts_with("size of ")).count();
    assert!(files + drift.growing.len() >= 6, "{drift:?}");
    let orders = trial.files.iter().filter(|row| row.file == "data/orders.db");
    assert!(orders.count() >= 5, "{:?}", trial.files.first());
    assert!(!trial.manifest.cost.cpu_s.contains_key(GENERATOR), "it is no part of the system");
    let met = &trial.thresholds[0];
    assert!(met.met && met.found.is_some_and(|found| found.is_finite()), "{met:?}");
    let page = std::fs::read_to_string(bench.latest().join("report.html")).unwrap();
    assert!(page.contains("The first third against the last"), "the report shows it");
    bench.is_deserted();
}

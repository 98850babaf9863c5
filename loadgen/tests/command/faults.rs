//! Faults as the systems meet them.

use loadgen::history;
use loadgen::record::read::Trial;

use crate::bench::Bench;

/// The provider declines every card: not what it does when it is started without a word.
const STRICT: &str = r#"about = "The card network is killed and comes back as strict as it was."
start = 20
stages = [{ duration = "14s", rate = 20 }]
warm_up = "0s"
drain = "20s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms", decline_rate = 1.0 }

[[fault]]
at = "1s"
for = "1s"
harm = "provider"
kind = "kill"
"#;

#[tokio::test]
async fn a_provider_that_was_killed_gets_its_settings_back() {
    let bench = Bench::new();
    let scenario = bench.file("strict.toml", STRICT);
    let output = bench.call(&["run", &scenario, "-s", "monolith"]).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    bench.is_deserted();
    let folder = bench.latest().join("strict/monolith/1");
    let trial = Trial::read(&folder).unwrap().unwrap();
    let fault = &trial.faults[0];
    let healed_s = fault.healed_s.unwrap();
    let receipts: Vec<String> = history::read(&folder)
        .unwrap()
        .map(Result::unwrap)
        .filter(|a| a.intended_ns as f64 / 1e9 > healed_s && a.outcome == "ok")
        .map(|a| a.receipt)
        .collect();
    assert!(!receipts.is_empty(), "nothing was asked after second {healed_s}");
    assert!(receipts.iter().all(|receipt| receipt == "declined"), "{receipts:?}");
    assert!(fault.heal_proof.contains("\"decline_rate\":1.0"), "{fault:?}");
}

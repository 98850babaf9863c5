//! A campaign of one round: random faults, then one table from the records alone.

use crate::bench::{Bench, root};

#[tokio::test]
async fn a_campaign_adds_up_what_runs_have_recorded() {
    let bench = Bench::new();
    let scenario = bench.file(
        "tiny.toml",
        "about = \"x\"\nstart = 20\nstages = [{ duration = \"10s\", rate = 20 }]\nwarm_up = \"1s\"\n\
         drain = \"30s\"\ncustomers = 1\nmix = { place = 1 }\n[limits]\nsend_lag = \"60s\"\n[chaos]\n\
         kinds = [\"kill\", \"pause\"]\nevery = \"1s\"\nmin = \"200ms\"\nmax = \"500ms\"\nquiet = 0\n",
    );
    let out = bench.out().display().to_string();
    let none = bench.call(&["campaign", bench.path(".").to_str().unwrap()]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("expected folders with a trial's"));

    let run = bench.call(&["run", &scenario, "-s", "monolith", "--seed", "5"]).await;
    assert!(matches!(run.status.code(), Some(0 | 3)), "{run:?}");
    let campaign = bench.call(&["campaign", &out, "--write"]).await;
    let told = String::from_utf8_lossy(&campaign.stdout).into_owned();
    assert_eq!(campaign.status.code(), Some(3), "{told}");
    assert!(told.starts_with("# Campaign: unknown\n\n- no negative control was run"), "{told}");
    assert_eq!(std::fs::read_to_string(bench.out().join("campaign.md")).unwrap(), told);
    let json = std::fs::read(bench.out().join("campaign.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let system = &json["systems"][0];
    assert_eq!((&system["trials"], &system["false_trials"]), (&1.into(), &0.into()), "{told}");
    let faults: u64 =
        system["faults"].as_array().unwrap().iter().map(|f| f["proved"].as_u64().unwrap()).sum();
    assert!(faults >= 1 && system["accepted"].as_u64().unwrap() > 0, "{told}");
    assert!(bench.out().join("campaign.csv").exists());

    let text = std::fs::read_to_string(root().join("systems/monolith.toml")).unwrap();
    let sham = bench.file("sham.toml", &format!("expect_violation = \"stuck\"\n{text}"));
    let run = bench.call(&["run", &scenario, "-s", &sham, "--seed", "5"]).await;
    assert_eq!(run.status.code(), Some(4), "a control that finds nothing");
    let campaign = bench.call(&["campaign", &out]).await;
    let told = String::from_utf8_lossy(&campaign.stdout);
    assert_eq!(campaign.status.code(), Some(4), "{told}");
    assert!(told.starts_with("# Campaign: VOID\n"), "{told}");
    bench.is_deserted();
}

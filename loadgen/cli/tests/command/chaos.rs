//! Drawn faults: one schedule for all systems, and a way to ask for it again.

use record::read::Run;

use crate::bench::Bench;

const CHAOS: &str = r#"about = "Drawn."
start = 30
stages = [{ duration = "9s", rate = 30 }]
warm_up = "1s"
drain = "30s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }

[chaos]
kinds = ["kill", "pause", "deploy"]
every = "1s"
min = "200ms"
max = "600ms"
quiet = 0.0
"#;

#[tokio::test]
async fn every_system_meets_the_same_faults() {
    let bench = Bench::new();
    let scenario = bench.file("drawn.toml", CHAOS);
    let systems = ["-s", "monolith", "-s", "microservices-sync", "--seed", "3"];
    let output = bench.call(&[&["run", &scenario][..], &systems].concat()).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    bench.has_left_nothing();
    let run = Run::read(&bench.latest()).unwrap();
    let [one, other] = run.trials.as_slice() else { panic!("{} trials", run.trials.len()) };
    assert_eq!(one.manifest.faults, other.manifest.faults);
    assert!(one.manifest.faults.len() >= 2, "{:?}", one.manifest.faults);
    for trial in [one, other] {
        assert_eq!(trial.faults.len(), trial.manifest.faults.len());
        for (row, drawn) in trial.faults.iter().zip(&trial.manifest.faults) {
            assert_eq!(
                (row.kind.as_str(), row.harm.as_str()),
                (drawn["kind"].as_str().unwrap(), drawn["harm"].as_str().unwrap())
            );
            assert!(row.effective_s.is_some() && row.healed_s.is_some(), "{row:#?}");
        }
    }
}

#[tokio::test]
async fn faults_are_given_or_drawn() {
    let bench = Bench::new();
    let fault = "\n[[fault]]\nat = \"2s\"\nharm = \"orders\"\nkind = \"restart\"\n";
    let scenario = bench.file("both.toml", &format!("{CHAOS}{fault}"));
    let output = bench.call(&["run", &scenario, "-s", "monolith"]).await;
    crate::bench::says(&output, 1, &["both.toml", "give [[fault]] or [chaos], not both"]);
}

//! The harness itself is killed in the middle of a fault: `loadgen heal` takes back what it left.

use std::process::Output;

use crate::bench::{Bench, until};

const LONG: &str = r#"about = "Longer than any test."
start = 30
stages = [{ duration = "300s", rate = 30 }]
warm_up = "0s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }

[[fault]]
at = "1s"
for = "200s"
harm = "orders"
"#;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Kills the harness when `harmed`, and heals.
async fn check(fault: &str, harmed: impl Fn(&Bench) -> bool, survivors: &[&str]) {
    let bench = Bench::new();
    let scenario = bench.file("long.toml", &format!("{LONG}{fault}"));
    let mut child = bench.start(&["run", &scenario, "-s", "microservices-sync"]);
    until("the fault", || harmed(&bench)).await;
    let out = bench.out().to_str().unwrap().to_owned();
    // While the harness runs, what it does is its own affair.
    let early = bench.call(&["heal", &out]).await;
    assert!(early.status.success() && told(&early).contains("nothing to take back"), "{early:?}");
    assert!(harmed(&bench));
    child.kill().await.unwrap();
    assert!(bench.processes().len() >= survivors.len(), "{:?}", bench.processes());

    let next = bench.call(&["run", "./nowhere.toml", "-s", "monolith"]).await;
    let warned = String::from_utf8_lossy(&next.stderr);
    assert!(warned.contains("left something") && warned.contains("loadgen heal"), "{warned}");
    let healed = bench.call(&["heal", &out]).await;
    let text = told(&healed);
    assert!(healed.status.success(), "{healed:?}");
    for name in survivors {
        assert!(text.contains(&format!("killed {name} (process")), "{text}");
    }
    bench.has_left_nothing();
    let again = bench.call(&["heal", &out]).await;
    assert!(told(&again).starts_with("nothing to take back"), "{again:?}");
}

/// A stopped process whose harness is gone gets SIGHUP and SIGCONT from the kernel, because its
/// process group is orphaned (setpgid(2)): it may be gone before it is healed.
#[tokio::test]
async fn in_the_middle_of_a_pause() {
    let survivors = ["provider", "auth", "payments"];
    check("kind = \"pause\"\n", Bench::has_stopped, &survivors).await;
}

#[tokio::test]
async fn in_the_middle_of_a_cpu_quota() {
    let bench = Bench::new();
    let doctor = bench.call(&["doctor", "--out", bench.out().to_str().unwrap()]).await;
    if !told(&doctor).contains("ok   faults cpu ") {
        assert!(std::env::var_os("CI").is_none(), "{doctor:?}");
        println!("skipped: no CPU quota can be given here (only root may)");
        return;
    }
    let survivors = ["provider", "auth", "payments", "orders"];
    let harmed = |bench: &Bench| !bench.groups().is_empty();
    check("kind = \"cpu\"\ncores = 0.02\n", harmed, &survivors).await;
}

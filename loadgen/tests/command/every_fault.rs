//! Every kind of fault, once on each default contestant: its effect is proved, it is taken back,
//! and no process, mount, loop device or control group is left. A new kind is a line of the table.

use loadgen::record::read::Run;
use loadgen::record::{Answer, FaultRow};

use crate::bench::Bench;

/// harm, kind, for, parameters.
type Line = (&'static str, &'static str, &'static str, &'static str);

const EVERYWHERE: &[Line] = &[
    ("payments", "kill", "800ms", ""),
    ("orders", "pause", "800ms", ""),
    ("payments", "terminate", "800ms", ""),
    ("orders", "restart", "", ""),
    ("auth", "deploy", "", ""),
    ("orders", "crash", "500ms", "point = \"order-committed\""),
    ("payments", "crash", "", "point = \"card-charged\""),
    ("payments", "crash", "", "point = \"payment-recorded\""),
    ("orders", "crash", "", "point = \"order-settled\""),
    ("orders", "crash", "", "point = \"mid-commit\""),
    ("orders", "cpu", "1s", "cores = 0.02"),
    ("payments", "memory", "800ms", "spare_mib = 256"),
    ("orders", "files", "800ms", "spare_files = 2"),
    ("provider", "kill", "500ms", ""),
    ("provider", "provider", "800ms", "error_rate = 0.5"),
];
const WITH_A_BROKER: &[Line] = &[
    ("broker", "kill", "500ms", ""),
    ("broker", "data-loss", "500ms", ""),
    ("broker", "pause", "800ms", ""),
    ("broker", "crash", "", "point = \"mid-commit\""),
    ("orders", "crash", "", "point = \"before-publish\""),
    ("payments", "crash", "", "point = \"settlement-published\""),
    ("payments", "crash", "", "point = \"acked\""),
];
const LINKS_AND_DISK: &[Line] = &[
    ("link:entry", "latency", "1s", "delay = \"80ms\"\njitter = \"20ms\""),
    ("link:provider", "bandwidth", "1s", "bytes_per_s = 4000"),
    ("link:provider", "blackhole", "1s", ""),
    ("link:entry", "reset", "1s", "share = 0.5"),
    ("link:provider", "reply-lost", "1s", "share = 0.5"),
    ("link:entry", "half-open", "1s", ""),
    ("link:provider", "slow-close", "1s", "delay = \"300ms\""),
    ("link:entry", "slice", "1s", "size_bytes = 20\ndelay = \"2ms\"\ndirection = \"to-client\""),
    ("disk", "full", "1s", ""),
    ("orders", "slow-fsync", "1s", "delay = \"20ms\""),
    ("orders", "failing-fsync", "1s", "share = 0.3"),
    ("disk", "power-cut", "1s", ""),
];
/// Once per scenario: the fault's heal takes the defect out of the system.
const POISON: [&[Line]; 3] = [
    &[("payments", "poison", "2s", "count = 2\neffect = \"error\"")],
    &[("payments", "poison", "2s", "count = 2\neffect = \"panic\"")],
    &[("payments", "poison", "2s", "count = 2\neffect = \"abort\"")],
];
/// Between the onsets, seconds: the longest fault with its healing, and some quiet.
const EVERY_S: f64 = 2.5;
/// The exit code of a run whose scenario this machine cannot do.
const NOT_RUN: i32 = 5;
/// What a trial may be invalid for beside other work on the machine; never for a fault.
const OF_FAULTS: [&str; 3] = ["fault ", "ended by itself", "something was left"];

fn scenario(lines: &[&[Line]]) -> String {
    let lines = lines.concat();
    let length = (1.0 + EVERY_S * lines.len() as f64 + 3.0).ceil();
    let mut text = format!(
        "about = \"One fault after the other.\"\nstart = 30\n\
         stages = [{{ duration = \"{length}s\", rate = 30 }}]\nwarm_up = \"1s\"\ndrain = \"40s\"\n\
         customers = 2\nmix = {{ place = 70, get = 30 }}\n\
         provider = {{ latency = \"constant:5ms\" }}\n"
    );
    for (n, (harm, kind, lasts, parameters)) in (0..).zip(lines) {
        let at = 1.0 + EVERY_S * f64::from(n);
        let lasts = if lasts.is_empty() { String::new() } else { format!("for = {lasts:?}\n") };
        text += &format!(
            "[[fault]]\nat = \"{at}s\"\n{lasts}harm = {harm:?}\nkind = {kind:?}\n{parameters}\n"
        );
    }
    text
}

async fn check(system: &str, lines: &[&[Line]]) {
    let bench = Bench::new();
    let scenario = bench.file("harm.toml", &scenario(lines));
    let output = bench.call(&["run", &scenario, "-s", system]).await;
    let told = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(NOT_RUN) {
        assert!(std::env::var_os("CI").is_none(), "{told}");
        println!("skipped: {told}");
        return;
    }
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let run = Run::read(&bench.latest()).unwrap();
    let trial = &run.trials[0];
    trial.faults.iter().for_each(|row| print(system, row));
    assert_eq!(trial.faults.len(), lines.concat().len());
    for row in &trial.faults {
        assert!(row.effective_s.is_some() && row.healed_s.is_some(), "{row:#?}");
    }
    let reasons = trial.manifest.validity.sentences().into_iter();
    let of_faults: Vec<String> =
        reasons.filter(|reason| OF_FAULTS.iter().any(|part| reason.contains(part))).collect();
    assert!(of_faults.is_empty(), "{of_faults:?}");
    let audit = trial.audit.as_ref().unwrap();
    assert_eq!(audit.verdict, Answer::True, "{told}\n{audit:#?}");
    bench.has_left_nothing();
}

fn print(system: &str, row: &FaultRow) {
    let seen = |s: Option<f64>| s.map_or("      —".to_owned(), |s| format!("{s:7.3}"));
    println!(
        "{system:<20} {:<13} {:<13} {:>7.3} {} {} | {} | {}",
        row.kind,
        row.harm,
        row.commanded_s,
        seen(row.effective_s),
        seen(row.healed_s),
        row.effect_proof,
        row.heal_proof
    );
}

#[tokio::test]
async fn of_the_monolith() {
    check("monolith", &[EVERYWHERE]).await;
}

#[tokio::test]
async fn of_the_synchronous_microservices() {
    check("microservices-sync", &[EVERYWHERE]).await;
}

#[tokio::test]
async fn of_the_asynchronous_microservices() {
    check("microservices-async", &[EVERYWHERE, WITH_A_BROKER]).await;
}

async fn poison(system: &str) {
    for effect in POISON {
        check(system, &[effect]).await;
    }
}

#[tokio::test]
async fn poison_in_the_monolith() {
    poison("monolith").await;
}

#[tokio::test]
async fn poison_in_the_synchronous_microservices() {
    poison("microservices-sync").await;
}

#[tokio::test]
async fn poison_in_the_asynchronous_microservices() {
    poison("microservices-async").await;
}

#[tokio::test]
async fn around_the_monolith() {
    check("monolith", &[LINKS_AND_DISK]).await;
}

#[tokio::test]
async fn around_the_synchronous_microservices() {
    check("microservices-sync", &[LINKS_AND_DISK]).await;
}

#[tokio::test]
async fn around_the_asynchronous_microservices() {
    check("microservices-async", &[LINKS_AND_DISK]).await;
}

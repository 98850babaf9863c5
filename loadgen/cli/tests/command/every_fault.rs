//! Every kind of fault, once on each default contestant: its effect is proved, it is taken back,
//! and no process, mount, loop device or control group is left. A new kind brings its line itself.

use faults::{Example, Facts, Targets};
use record::read::Run;
use record::{Answer, FaultRow};

use crate::bench::Bench;

/// harm, kind, for, parameters.
type Line = (&'static str, &'static str, &'static str, &'static str);

/// Beside the kinds' own examples.
const EVERYWHERE: &[Line] = &[
    ("payments", "crash", "", "point = \"card-charged\""),
    ("payments", "crash", "", "point = \"payment-recorded\""),
    ("orders", "crash", "", "point = \"order-settled\""),
    ("orders", "crash", "", "point = \"mid-commit\""),
    ("provider", "kill", "500ms", ""),
];
const WITH_A_BROKER: &[Line] = &[
    ("broker", "kill", "500ms", ""),
    ("broker", "pause", "800ms", ""),
    ("broker", "crash", "", "point = \"mid-commit\""),
    ("orders", "crash", "", "point = \"before-publish\""),
    ("payments", "crash", "", "point = \"settlement-published\""),
    ("payments", "crash", "", "point = \"acked\""),
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

/// The examples of the kinds that this holds for, one each; of those that strike once, none.
fn examples(holds: impl Fn(&Facts) -> bool) -> Vec<Line> {
    let kinds = faults::facts().filter(|facts| !facts.once && holds(facts));
    let line = |facts: &Facts| {
        let Example { target, lasts, parameters } = facts.example;
        (target, facts.name, lasts, parameters)
    };
    kinds.map(line).collect()
}

/// Of links or the disk, or with what not every machine has: without it the others are tried all the same.
fn is_around(facts: &Facts) -> bool {
    matches!(facts.targets, Targets::Link | Targets::Disk) || facts.needs.is_some()
}

fn inside() -> Vec<Line> {
    let examples = examples(|facts| !is_around(facts) && facts.example.target != "broker");
    [examples, EVERYWHERE.to_vec()].concat()
}

fn of_the_broker() -> Vec<Line> {
    let examples = examples(|facts| facts.example.target == "broker");
    [examples, WITH_A_BROKER.to_vec()].concat()
}

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
    // Two customers, and each has ordered.
    let moved = trial.moved.as_ref().map(|moved| (moved.databases, moved.customers + moved.stayed));
    let is_moved = lines.concat().iter().any(|(_, kind, ..)| *kind == "reshard");
    assert_eq!(moved, is_moved.then_some((5, 2)));
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
    check("monolith", &[&inside()]).await;
}

#[tokio::test]
async fn of_the_synchronous_microservices() {
    check("microservices-sync", &[&inside()]).await;
}

#[tokio::test]
async fn of_the_asynchronous_microservices() {
    check("microservices-async", &[&inside(), &of_the_broker()]).await;
}

#[tokio::test]
async fn of_orders_over_several_databases() {
    check("sharded-4", &[&[("orders", "reshard", "", "")]]).await;
    check("sharded-4", &[&[("orders", "reshard", "", "split = 1")]]).await;
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
    check("monolith", &[&examples(is_around)]).await;
}

#[tokio::test]
async fn around_the_synchronous_microservices() {
    check("microservices-sync", &[&examples(is_around)]).await;
}

#[tokio::test]
async fn around_the_asynchronous_microservices() {
    check("microservices-async", &[&examples(is_around)]).await;
}

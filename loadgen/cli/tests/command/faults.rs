//! Faults as the systems meet them.

use record::read::Trial;
use record::{Answer, Outcome, Receipt, history};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, end, until};

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
    let receipts: Vec<Receipt> = history::read(&folder)
        .unwrap()
        .map(Result::unwrap)
        .filter(|a| a.intended_ns as f64 / 1e9 > healed_s && a.outcome == Outcome::Ok)
        .map(|a| a.receipt)
        .collect();
    assert!(!receipts.is_empty(), "nothing was asked after second {healed_s}");
    assert!(receipts.iter().all(|receipt| *receipt == Receipt::Declined), "{receipts:?}");
    assert!(fault.heal_proof.contains("\"decline_rate\":1.0"), "{fault:?}");
}

/// Killed by nobody of the harness, seconds before the harness kills it.
const LATE: &str = r#"about = "A process ends by itself, and is killed afterwards."
start = 20
stages = [{ duration = "14s", rate = 20 }]
warm_up = "0s"
drain = "20s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }

[[fault]]
at = "10s"
for = "1s"
harm = "payments"
kind = "kill"
"#;

/// The process of the monolith that works for this test.
fn monolith(bench: &Bench) -> Option<Pid> {
    let is_monolith = |folder: &&std::path::PathBuf| {
        std::fs::read_to_string(folder.join("comm")).is_ok_and(|comm| comm.trim() == "monolith")
    };
    let folder = bench.processes().iter().find(is_monolith)?.clone();
    Pid::from_raw(folder.file_name()?.to_str()?.parse().ok()?)
}

#[tokio::test]
async fn a_process_that_had_ended_by_itself_is_not_counted_as_killed() {
    let bench = Bench::new();
    let scenario = bench.file("late.toml", LATE);
    let child = bench.start(&["run", &scenario, "-s", "monolith"]);
    let charged = || {
        let results = std::fs::read_dir(bench.out()).ok()?.flatten().next()?;
        let journal = results.path().join("late/monolith/1/outside/provider.jsonl");
        Some(std::fs::read_to_string(journal).ok()?.lines().count() > 20)
    };
    until("a second of load", || charged() == Some(true)).await;
    kill_process(monolith(&bench).unwrap(), Signal::KILL).unwrap();
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let reasons = words.split_once("not ok: place").map(|(_, reasons)| reasons);
    assert!(reasons.is_some_and(|r| r.contains("× connection refused (failed)")), "{told}");
    bench.is_deserted();
    let trial = Trial::read(&bench.latest().join("late/monolith/1")).unwrap().unwrap();
    let fault = &trial.faults[0];
    assert!(fault.effective_s.is_none() && fault.healed_s.is_some(), "{fault:?}");
    assert!(fault.effect_proof.contains("had ended by itself before"), "{fault:?}");
    let ended = "the process monolith (signal: 9 (SIGKILL)) ended by itself";
    let reasons = trial.manifest.validity.sentences();
    assert!(reasons.iter().any(|reason| reason == ended), "{reasons:?}");
}

const LOSS: &str = r#"
about = "The broker loses what it has while nobody takes charges."
start = 20
stages = [{ duration = "6s", rate = 20 }]
warm_up = "1s"
drain = "30s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }

[[fault]]
at = "1s"
for = "4s"
harm = "payments"
kind = "pause"

[[fault]]
at = "3s"
for = "1s"
harm = "broker"
kind = "data-loss"
"#;

/// Who has no broker has no part in its loss; that is said, and is no failure.
#[tokio::test]
async fn a_broker_s_loss_loses_no_order_and_concerns_only_who_has_one() {
    let bench = Bench::new();
    let scenario = bench.file("loss.toml", LOSS);
    let output =
        bench.call(&["run", &scenario, "-s", "monolith", "-s", "microservices-async"]).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    assert!(told.contains("monolith"), "{told}");
    assert!(told.contains("not run: no process of it plays \"broker\""), "{told}");
    bench.is_deserted();
    assert!(!bench.latest().join("loss/monolith").exists());
    let trial = Trial::read(&bench.latest().join("loss/microservices-async/1")).unwrap().unwrap();
    let loss = trial.faults.iter().find(|fault| fault.kind == "data-loss").unwrap();
    assert!(loss.effective_s.is_some() && loss.healed_s.is_some(), "{loss:?}");
    assert!(loss.effect_proof.contains("signal: 9"), "{loss:?}");
    assert!(loss.effect_proof.contains(" files with "), "{loss:?}");
    let audit = trial.audit.unwrap();
    assert_eq!(audit.verdict, Answer::True, "{audit:#?}");
    assert!(audit.counts.paid > 50 && audit.counts.pending == 0, "{:?}", audit.counts);
}

const LED: &str = r#"
about = "One of two is killed."
start = 20
stages = [{ duration = "5s", rate = 20 }]
warm_up = "0s"
drain = "20s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }

[[fault]]
at = "1s"
for = "1s"
harm = "auth"
kind = "kill"
"#;

/// Two play auth; of the first this file says that it leads.
const TWO: &str = r#"
extends = "microservices-sync"

[variant]
differs = "a second auth, which nobody asks"

[change.auth]
leads = "http://127.0.0.1:{port:auth}/FIRST"

[add.auth-2]
like = "auth"
ready = "http://127.0.0.1:{port:auth-2}/readyz"
leads = "http://127.0.0.1:{port:auth-2}/nowhere"
arguments = { "--listen" = "127.0.0.1:{port:auth-2}", "--store" = "sqlite:{data}/auth-2.db" }
data = ["{data}/auth-2.db*"]
"#;

/// Who leads is harmed, by its own word; where nobody says so, it is not known whom to harm.
#[tokio::test]
async fn a_fault_harms_who_leads_alone() {
    let killed = async |first: &str| {
        let bench = Bench::new();
        let scenario = bench.file("led.toml", LED);
        let system = bench.file("two.toml", &TWO.replace("FIRST", first));
        let output = bench.call(&["run", &scenario, "-s", &system, "--reruns", "0"]).await;
        let trial = Trial::read(&bench.latest().join("led/two/1")).unwrap();
        let trial = trial.unwrap_or_else(|| panic!("{output:?}"));
        bench.is_deserted();
        trial.faults[0].clone()
    };
    let fault = killed("readyz").await;
    assert_eq!(fault.processes, "auth", "{fault:?}");
    assert!(fault.effective_s.is_some() && fault.healed_s.is_some(), "{fault:?}");
    let proof = &fault.effect_proof;
    assert!(proof.starts_with("auth: signal: 9") && !proof.contains("auth-2"), "{fault:?}");
    assert!(proof.ends_with("it led by its own word"), "{fault:?}");
    let nobody = killed("nowhere").await;
    assert!(nobody.effective_s.is_none() && nobody.commanded_s >= 1.0, "{nobody:?}");
    let why = "none of auth auth-2 says that it leads";
    assert!(nobody.effect_proof.contains(why), "{nobody:?}");
}

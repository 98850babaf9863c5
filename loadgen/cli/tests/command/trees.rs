//! A process is all that its command started: harm, proof, accounts and end apply to the whole of it.

use std::path::Path;

use record::read::{Run, Trial};
use record::{Answer, FaultRow, Outcome};

use crate::bench::Bench;

/// harm, kind, for, parameters.
type Line = (&'static str, &'static str, &'static str, &'static str);

const HARMS: &[Line] = &[
    ("orders", "pause", "1s", ""),
    ("orders", "kill", "500ms", ""),
    ("orders", "cpu", "1s", "cores = 0.02"),
    ("orders", "memory", "800ms", "spare_mib = 512"),
    ("orders", "files", "800ms", "spare_files = 50"),
    ("orders", "slow-fsync", "1s", "delay = \"20ms\""),
    ("disk", "power-cut", "1s", ""),
];
/// Between the onsets, seconds.
const EVERY_S: u32 = 3;
const OF_FAULTS: [&str; 3] = ["fault ", "ended by itself", "something was left"];

fn scenario(bench: &Bench, lines: &[Line]) -> String {
    let seconds = 1 + EVERY_S * u32::try_from(lines.len()).unwrap() + 2;
    let mut text = format!(
        "about = \"A tree.\"\nstart = 40\nstages = [{{ duration = \"{seconds}s\", rate = 40 }}]\n\
         warm_up = \"0s\"\ndrain = \"30s\"\ncustomers = 2\nmix = {{ place = 1 }}\n\
         provider = {{ latency = \"constant:5ms\" }}\n"
    );
    for (n, (harm, kind, lasts, parameters)) in (0..).zip(lines) {
        let at = 1 + EVERY_S * n;
        text += &format!(
            "[[fault]]\nat = \"{at}s\"\nfor = {lasts:?}\nharm = {harm:?}\nkind = {kind:?}\n{parameters}\n"
        );
    }
    bench.file("harm.toml", &text)
}

/// The monolith, started by a shell script in which `SHOP` is its command.
fn wrapped(bench: &Bench, script: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_loadgen")).with_file_name("monolith");
    let script = script.replace("SHOP", &format!("{} \\\"$@\\\"", program.display()));
    let to = format!("command = [\"sh\", \"-c\", \"{script}\", \"sh\"");
    bench.monolith("command = [\"monolith\"", &to)
}

async fn run(bench: &Bench, lines: &[Line], system: &str) -> Option<Trial> {
    let output = bench.call(&["run", &scenario(bench, lines), "-s", system]).await;
    let told = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(5) {
        assert!(std::env::var_os("CI").is_none(), "{told}");
        println!("skipped: {told}");
        return None;
    }
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    bench.has_left_nothing();
    Some(Run::read(&bench.latest()).unwrap().trials.remove(0))
}

/// Reasons that speak of faults and processes.
fn doubts(trial: &Trial) -> Vec<String> {
    let reasons = trial.manifest.validity.sentences().into_iter();
    reasons.filter(|reason| OF_FAULTS.iter().any(|part| reason.contains(part))).collect()
}

/// Every fault bites the whole of it: while it stands nobody is served.
async fn check(script: &str, harms: &[Line], size: u32) {
    let bench = Bench::new();
    let Some(trial) = run(&bench, harms, &wrapped(&bench, script)).await else { return };
    trial
        .faults
        .iter()
        .for_each(|row| println!("{}: {} | {}", row.kind, row.effect_proof, row.heal_proof));
    assert!(doubts(&trial).is_empty(), "{:?}", doubts(&trial));
    assert_eq!(trial.audit.as_ref().unwrap().verdict, Answer::True);
    let proof =
        |kind: &str| &trial.faults.iter().find(|row| row.kind == kind).unwrap().effect_proof;
    if size > 1 {
        assert!(
            proof("pause").contains(&format!("of {size} processes, silent")),
            "{}",
            proof("pause")
        );
        assert!(proof("kill").contains(&format!("of {size} processes")), "{}", proof("kill"));
    }
    let pause = &trial.faults[0];
    let answered = answered_between(&bench.latest().join(&trial.folder), pause);
    assert_eq!(answered, 0, "answers while it stood");
    let rows = trial.resources.iter().filter(|row| row.process == "monolith");
    let (most, cpu_s) = rows
        .fold((0, 0.0), |(most, cpu_s), row| (most.max(row.processes.unwrap()), cpu_s + row.cpu_s));
    assert_eq!(most, size);
    // A shell that waits uses none.
    assert!(cpu_s > 0.1, "{cpu_s} s of CPU");
}

fn answered_between(folder: &Path, pause: &FaultRow) -> usize {
    let (from, to) = (pause.effective_s.unwrap(), pause.heal_commanded_s.unwrap());
    let attempts = record::history::read(folder).unwrap().map(Result::unwrap);
    let at_s = |ns: u64| ns as f64 / 1e9;
    attempts
        .filter(|a| a.outcome == Outcome::Ok && at_s(a.done_ns) > from && at_s(a.done_ns) < to)
        .count()
}

#[tokio::test]
async fn below_a_shell_that_waits() {
    check("SHOP; true", HARMS, 2).await;
}

#[tokio::test]
async fn in_a_session_of_its_own_below_a_supervisor() {
    check("setsid sh -c 'exec \\\"$0\\\" \\\"$@\\\"' SHOP & wait", &HARMS[..2], 2).await;
}

#[tokio::test]
async fn behind_a_program_that_has_ended() {
    check("SHOP & exit 0", &HARMS[..2], 1).await;
}

/// A shell does not pass SIGTERM on: the end was not graceful, and says so.
#[tokio::test]
async fn a_wrapper_that_passes_nothing_on_cannot_be_ended_gracefully() {
    let bench = Bench::new();
    let lines = [("orders", "terminate", "500ms", "")];
    let trial = run(&bench, &lines, &wrapped(&bench, "SHOP; true")).await.unwrap();
    let row = &trial.faults[0];
    assert!(row.effective_s.is_none(), "{row:?}");
    assert!(
        row.effect_proof.contains("has ended (signal: 15 (SIGTERM)), but monolith ("),
        "{row:?}"
    );
    assert!(row.healed_s.is_some(), "{row:?}");
    assert!(!trial.manifest.validity.valid);
}

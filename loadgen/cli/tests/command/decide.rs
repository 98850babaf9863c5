//! Claims put to the test: what is run for them, what is kept when it is killed, and what is said in the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Output};

use report::decided::{Verdicts, last};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::bench::{Bench, end, root, until};

const TINY: &str = r#"about = "As short as can be."
start = 60
stages = [{ duration = "2s", rate = 60 }]
warm_up = "0s"
drain = "10s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }
"#;

/// A stranger's claim, of fewer lines than the page allows.
const STRANGER: &str = r#"sentence = "A shop takes orders, however slow the card network is."
source = { text = "A colleague, over lunch" }
arms = { plain = "monolith", slow = { system = "monolith", set = { "provider.latency" = "constant:50ms" } } }
scenario = "tiny"
refuted_by = "It refuses some"
[[expect]]
figure = "accepted share"
of = "plain"
at_least = 0.5
[[expect]]
figure = "lost"
of = "slow"
at_most = 0
"#;

/// What a control of the run expects: it is right where little fails.
const RIGHT: &str = "at_most = 0.5";
const WRONG: &str = "at_least = 0.5";

fn control(bound: &str) -> String {
    format!(
        r#"sentence = "What a monolith accepts is seen."
source = {{ text = "A control of the run" }}
must = "hold"
arms = {{ one = "monolith" }}
scenario = "tiny"
refuted_by = "It accepts less"
[[expect]]
figure = "failed share"
of = "one"
{bound}
"#
    )
}

/// A project's folder with one control and one scenario, the systems those of this one.
struct Project {
    bench: Bench,
    folder: PathBuf,
}

impl Project {
    fn new(control: &str) -> Self {
        let bench = Bench::new();
        let folder = bench.path("project");
        for name in ["claims", "scenarios"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root().join("systems"), folder.join("systems")).unwrap();
        std::fs::write(folder.join("scenarios/tiny.toml"), TINY).unwrap();
        std::fs::write(folder.join("claims/control-tiny.toml"), control).unwrap();
        Self { bench, folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bench.command(arguments);
        command.current_dir(&self.folder).arg("--out").arg(self.bench.out());
        // A trial that other tests disturbed would leave its claim undecided.
        command.env("LOADGEN_RERUNS", "3");
        command
    }

    async fn call(&self, arguments: &[&str]) -> Output {
        end(self.command(arguments).spawn().unwrap()).await
    }

    fn verdicts(&self) -> Verdicts {
        last(&self.bench.only()).unwrap().unwrap()
    }
}

#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}{err}");
    told
}

/// Each trial's manifest as it stands.
fn manifests(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let found = record::read::manifests(run).unwrap();
    found
        .into_iter()
        .map(|(folder, _)| (folder.clone(), std::fs::read(folder.join("manifest.json")).unwrap()))
        .collect()
}

/// What another reader finds in a table: the rows of two columns.
fn read_by_python(table: &Path) -> String {
    let script = "import csv, sys\nfor row in csv.DictReader(open(sys.argv[1])): print(row['claim'], row['verdict'], row['blocks'], row['controls'])";
    let output = Program::new("python3").args(["-c", script]).arg(table).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn killed_in_a_block_it_goes_on_and_decides_the_same() {
    let project = Project::new(&control(RIGHT));
    let claim = project.bench.file("stranger.toml", STRANGER);
    let child = project.command(&["decide", &claim, "--quick"]).spawn().unwrap();
    let running = |path: &str| {
        let runs = std::fs::read_dir(project.bench.out()).into_iter().flatten().flatten();
        runs.map(|run| run.path().join(path)).any(|path| path.exists())
    };
    // One trial of the second block is whole, whichever is first, and the other may have begun.
    until("the second block", || {
        running("tiny/monolith/2/manifest.json")
            || running("tiny+provider.latency=constant-50ms/monolith/2/manifest.json")
    })
    .await;
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    let run = project.bench.only();
    let second = project.call(&["decide", "--resume", run.to_str().unwrap()]).await;
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("process {} works on it", child.id().unwrap())), "{told}");
    kill_process(pid, Signal::KILL).unwrap();
    end(child).await;
    let before = manifests(&run);

    // What the other left running is ended first.
    let resumed = project.call(&["decide", "--resume", run.to_str().unwrap()]).await;
    let told = ends(&resumed, 0);
    assert!(
        told.contains("holds          A shop takes orders") && told.contains("verdicts: "),
        "{told}"
    );
    project.bench.is_deserted();
    let after = manifests(&run);
    for (folder, manifest) in &before {
        if folder.ends_with("1") {
            assert_eq!(Some(manifest), after.get(folder), "what was whole is kept");
        }
    }
    for block in ["1", "2", "3"] {
        assert!(after.keys().filter(|folder| folder.ends_with(block)).count() >= 2, "{after:?}");
    }
    let verdicts = project.verdicts();
    assert_eq!((verdicts.blocks, verdicts.wrong.len()), (3, 0));
    assert!(verdicts.verdicts[0].findings.iter().all(|found| found.blocks == 3));
    let told = read_by_python(&run.join("verdicts.csv"));
    assert_eq!(told, "stranger holds 3 right\ncontrol-tiny holds 3 right\n");
    assert!(run.join("decision.html").is_file() && run.join("report.html").is_file());

    // All is there: nothing is run, and the records say the same.
    ends(&project.call(&["decide", "--resume", run.to_str().unwrap()]).await, 0);
    assert_eq!(manifests(&run), after);
    assert_eq!(project.verdicts(), verdicts);
    let listed = ends(&project.call(&["claims"]).await, 0);
    assert!(listed.contains("control-tiny: holds"), "{listed}");
}

#[tokio::test]
async fn a_control_that_comes_out_wrong_decides_nothing() {
    let project = Project::new(&control(WRONG));
    let claim = project.bench.file("stranger.toml", STRANGER);
    let told = ends(&project.call(&["decide", &claim, "--quick"]).await, 4);
    assert!(
        told.contains("undecided      A shop takes orders") && told.contains("nothing is decided"),
        "{told}"
    );
    assert_eq!(project.verdicts().wrong.len(), 1);
}

#[tokio::test]
async fn too_few_blocks_leave_it_undecided_and_another_experiment_is_not_gone_on_with() {
    let project = Project::new(&control(RIGHT));
    let claim = project.bench.file("stranger.toml", STRANGER);
    let output = project.call(&["decide", &claim, "--blocks", "1", "--json"]).await;
    let verdicts: Verdicts = serde_json::from_str(&ends(&output, 3)).unwrap();
    assert_eq!(verdicts.verdicts[0].verdict, "undecided");
    assert_eq!(verdicts, project.verdicts());
    let run = project.bench.only();
    for (file, text, why) in [
        ("project/scenarios/tiny.toml", TINY.replace("60", "50"), "the scenario tiny"),
        ("stranger.toml", STRANGER.replace("0.5", "0.6"), "stranger.toml is another"),
    ] {
        let old = std::fs::read_to_string(project.bench.path(file)).unwrap();
        project.bench.file(file, &text);
        let refused = project.call(&["decide", "--resume", run.to_str().unwrap()]).await;
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(told.contains("cannot be gone on with") && told.contains(why), "{told}");
        project.bench.file(file, &old);
    }
    assert!(!run.join("inputs-now").exists());
}

/// All claims of the folder can be laid out; a minute is too short for any of them.
#[tokio::test]
async fn what_does_not_fit_into_the_budget_is_not_begun() {
    let bench = Bench::new();
    let out = bench.out();
    let output = bench.call(&["decide", "--budget", "1", "--out", out.to_str().unwrap()]).await;
    ends(&output, 3);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("block 1: 0 of ") && told.contains("nothing is decided"), "{told}");
    bench.is_clean();
}

#[tokio::test]
async fn what_cannot_be_decided_is_told_before_anything_runs() {
    let project = Project::new(&control(RIGHT));
    for (text, why) in [
        (STRANGER.replace("\"accepted share\"", "\"capacity\""), "stranger.toml:7: no record has"),
        (STRANGER.replace("of = \"plain\"", "of = \"plain@during\""), "no phase \"during\""),
        (STRANGER.replace("provider.latency", "provider.latensy"), "did you mean `latency`"),
        (STRANGER.replace("\"tiny\"", "\"tinny\""), "did you mean tiny"),
    ] {
        let claim = project.bench.file("stranger.toml", &text);
        let output = project.call(&["decide", &claim]).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(why), "{why} is not in {told}");
    }
    project.bench.is_clean();
}

//! A place for one test: a folder that goes away, the command's calls, and what they leave.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Far above any run of these tests, also on two cores that build something else.
const PATIENCE: Duration = Duration::from_secs(150);
const HEALED_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

pub(crate) struct Bench {
    folder: TempDir,
}

/// The folder of scenarios and systems, where the command is called.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// The only folder of results.
    pub(crate) fn only(&self) -> PathBuf {
        let folders = std::fs::read_dir(self.out()).unwrap().flatten().map(|entry| entry.path());
        let folders: Vec<PathBuf> = folders.filter(|path| !path.is_symlink()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders[0].clone()
    }

    /// The folder of the results that `latest` points to.
    pub(crate) fn latest(&self) -> PathBuf {
        self.out().join("latest")
    }

    /// Writes a file; returns its path as an argument.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A copy of the monolith's file with a change that must apply.
    pub(crate) fn monolith(&self, from: &str, to: &str) -> String {
        let text = std::fs::read_to_string(root().join("systems/monolith.toml")).unwrap();
        assert!(text.contains(from), "{from} is not in the file");
        self.file("changed.toml", &text.replace(from, to))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        build_programs();
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.current_dir(root()).args(arguments).env("RUST_BACKTRACE", "1");
        if matches!(arguments[0], "run" | "attack" | "capacity") && !arguments.contains(&"--out") {
            command.arg("--out").arg(self.out());
        }
        // Tests are no measurement: what else runs is of no concern, and the number of trials is theirs.
        command.env("LOADGEN_QUIET_WITHIN", "0s").env("LOADGEN_RERUNS", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    /// Starts the command.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Starts the command with an input to write to.
    pub(crate) fn piped(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Calls the command and waits for its end.
    pub(crate) async fn call(&self, arguments: &[&str]) -> Output {
        end(self.start(arguments)).await
    }

    /// Calls the command with these variables in its environment.
    pub(crate) async fn call_with(&self, set: &[(&str, &str)], arguments: &[&str]) -> Output {
        end(self.command(arguments).envs(set.iter().copied()).spawn().unwrap()).await
    }

    /// Calls the command where no tool of the system is found.
    pub(crate) async fn call_without_path(&self, arguments: &[&str]) -> Output {
        end(self.command(arguments).env("PATH", "").spawn().unwrap()).await
    }

    /// Nothing half-written is left, and nobody.
    pub(crate) fn is_clean(&self) {
        let left: Vec<_> = std::fs::read_dir(self.out()).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        self.is_deserted();
    }

    /// No process works for this test any more.
    pub(crate) fn is_deserted(&self) {
        let left = self.processes();
        assert!(left.is_empty(), "still there: {left:#?}");
    }

    /// Neither a process nor a mount, a loop device or a control group.
    pub(crate) fn has_left_nothing(&self) {
        self.is_deserted();
        let place = self.folder.path().to_str().unwrap();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(place), "{mounts}");
        for device in std::fs::read_dir("/sys/block").unwrap().flatten() {
            let file = std::fs::read_to_string(device.path().join("loop/backing_file"));
            assert!(!file.unwrap_or_default().contains(place), "{device:?}");
        }
        let groups = self.groups();
        assert!(groups.is_empty(), "still there: {groups:#?}");
    }

    /// Control groups that carry the mark of a trial of this test.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let marks: Vec<String> = below(&self.out(), 5)
            .iter()
            .filter_map(|folder| std::fs::read_to_string(folder.join("undo.jsonl")).ok())
            .filter_map(|text| {
                let first: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
                Some(first["mark"].as_str()?.to_owned())
            })
            .collect();
        let mut found = below(Path::new("/sys/fs/cgroup"), 6);
        found.retain(|folder| marks.iter().any(|m| folder.to_str().unwrap().contains(m)));
        found
    }

    /// Whether a process that works for this test is stopped.
    pub(crate) fn has_stopped(&self) -> bool {
        let stat = |folder: &PathBuf| std::fs::read_to_string(folder.join("stat"));
        self.processes().iter().any(|p| stat(p).is_ok_and(|text| text.contains(") T ")))
    }

    /// Folders in /proc of those who have this test's folder among their arguments.
    pub(crate) fn processes(&self) -> Vec<PathBuf> {
        let mark = self.folder.path().to_str().unwrap();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(mark) {
                found.push(entry.path());
            }
        }
        found
    }
}

/// A folder and those in it, so deep.
fn below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|e| depth > 0 && e.file_type().is_ok_and(|t| t.is_dir())) {
        found.extend(below(&entry.path(), depth - 1));
    }
    found
}

impl Drop for Bench {
    /// A test that failed in the middle leaves nothing either.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let deadline = Instant::now() + HEALED_WITHIN;
        loop {
            // A harness that was killed a moment ago may still run: then nothing is taken back yet.
            let is_last = self.processes().is_empty() || Instant::now() > deadline;
            let cleaned = supervise::undo::clean_up(&self.out());
            eprintln!("cleaned up: {cleaned:?}");
            if is_last {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

pub(crate) async fn end(child: Child) -> Output {
    timeout(PATIENCE, child.wait_with_output()).await.expect("the command does not end").unwrap()
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(POLL).await;
    }
}

/// It failed with this code and one line, which says all of this.
#[track_caller]
pub(crate) fn says(output: &Output, code: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    // What a trial announces when there is no terminal for its progress bar.
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.ends_with(" s of load")).collect();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(lines[0].starts_with("error: "), "{stderr}");
    for part in parts {
        assert!(lines[0].contains(part), "{part:?} is not in: {stderr}");
    }
}

/// The present programs beside the command: stale ones would prove nothing. `scripts/test` builds them itself.
fn build_programs() {
    static BUILT: OnceLock<()> = OnceLock::new();
    if std::env::var_os("TRIPTYCH_PROGRAMS_ARE_BUILT").is_some() {
        return;
    }
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_loadgen")).parent().unwrap();
        let profile = folder.file_name().unwrap().to_str().unwrap();
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["build", "--quiet", "--workspace", "--profile"]);
        cargo.arg(if profile == "debug" { "dev" } else { profile });
        cargo.arg("--target-dir").arg(folder.parent().unwrap());
        cargo.args(["--bin", "provider", "--bin", "monolith", "--bin", "microservices-sync"]);
        cargo.args(["--bin", "broker", "--bin", "microservices-async"]);
        let built = cargo.output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    });
}

//! `environment.json`: the machine and the command, beside the numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context as _;
use record::atomic_write::write_json;
use record::files;
use record::redact;
use supervise::cores::Cores;

/// Facts by name.
pub type Facts = BTreeMap<String, String>;

/// Reads what can be read; what cannot is "unknown".
#[must_use]
pub fn facts(cores: &Cores, command: &[String], folder: &Path) -> Facts {
    let uname = rustix::system::uname();
    let text = |c: &std::ffi::CStr| c.to_string_lossy().into_owned();
    let entries = [
        ("started", now()),
        ("host", host()),
        ("command", command.join(" ")),
        ("revision", revision()),
        ("kernel", format!("{} {}", text(uname.sysname()), text(uname.release()))),
        ("cpu", line_of("/proc/cpuinfo", "model name")),
        ("memory", line_of("/proc/meminfo", "MemTotal")),
        ("generator cores", format!("{:?}", cores.generator)),
        ("system cores", format!("{:?}", cores.systems)),
        ("load average at the start", load_average()),
        ("file system of the data", file_system(folder)),
        ("scheduler autogroup", autogroup()),
        ("loadgen version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let mut facts: Facts = entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    if command.iter().any(|word| word.contains(redact::MARK)) {
        let said =
            format!("secrets of the command line are in no file; they stand as {}", redact::MARK);
        facts.insert("redacted".to_owned(), said);
    }
    facts
}

/// The luck of the card network in the run of this results folder.
///
/// # Errors
/// If that run has not ended, or is older than that it would say.
pub fn luck_of(run: &Path) -> anyhow::Result<String> {
    let path = run.join(files::ENVIRONMENT);
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("{}: expected a run's folder", path.display()))?;
    let facts: Facts = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let luck = facts.get(files::LUCK).cloned();
    luck.with_context(|| {
        format!("{} does not say {:?}: it has not ended, or is older", path.display(), files::LUCK)
    })
}

/// Writes the facts into a results folder.
///
/// # Errors
/// If the file cannot be written.
pub fn write(folder: &Path, facts: &Facts) -> anyhow::Result<()> {
    write_json(&folder.join(files::ENVIRONMENT), facts)
}

/// The present, UTC.
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The machine's name.
#[must_use]
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The one-, five- and fifteen-minute load average.
#[must_use]
pub fn load_average() -> String {
    let text = read("/proc/loadavg");
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Whether the scheduler groups processes by session: 1, 0, or unknown.
#[must_use]
pub fn autogroup() -> String {
    read("/proc/sys/kernel/sched_autogroup_enabled")
}

/// The sources' revision, `-dirty` if they were changed since.
#[must_use]
pub fn revision() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]) else { return unknown() };
    let dirty = git(&["status", "--porcelain"]).is_some_and(|text| !text.is_empty());
    if dirty { format!("{revision}-dirty") } else { revision }
}

/// Name and mount point of the file system that holds a path; tmpfs would cost no fsync.
#[must_use]
pub fn file_system(path: &Path) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mounts = read("/proc/self/mounts");
    let holding = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (_, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        path.starts_with(point).then_some((point, kind))
    });
    holding
        .max_by_key(|(point, _)| point.len())
        .map_or_else(unknown, |(point, kind)| format!("{kind} on {point}"))
}

fn line_of(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|l| l.starts_with(name));
    line.and_then(|l| l.split_once(':')).map_or_else(unknown, |(_, v)| v.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|t| t.trim_end().to_owned()).unwrap_or_else(|_| unknown())
}

fn unknown() -> String {
    "unknown".to_owned()
}

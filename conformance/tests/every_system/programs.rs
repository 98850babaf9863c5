//! The programs of the systems, built from the present sources: a stale one would prove nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, ensure};
use scenario::system::{ProcessSpec, SystemSpec};
use serde_json::Value;

/// What stands in the files of controls and exhibits, of which nothing must be true.
const CONTROL: &str = "expect_violation";

/// What the names of clusters end with, and of a pair that differs from another in one setting: they need long to start, and
/// are asked less.
const ASKED_LESS: [&str; 2] = ["-3", "-asynchronous"];

/// Whether a system is asked for fewer promises than others.
pub(crate) fn is_asked_less(system: &str) -> bool {
    ASKED_LESS.iter().any(|end| system.ends_with(end))
}

/// The names of all systems that must be right, in order.
pub(crate) fn systems() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for path in files()? {
        let text = std::fs::read_to_string(&path)?;
        if !text.lines().any(|line| line.starts_with(CONTROL)) {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

/// A system whose own programs are named by path; others are left to the PATH.
pub(crate) fn system(name: &str) -> anyhow::Result<SystemSpec> {
    let mut spec = read(name)?;
    let folder = folder()?;
    for process in &mut spec.processes {
        let own = folder.join(&process.command[0]);
        if own.is_file() {
            process.command[0] = own.to_string_lossy().into_owned();
        }
    }
    Ok(spec)
}

/// How a process is started, without what differs between any two: addresses, folders, secrets and numbers.
pub(crate) fn likeness(process: &ProcessSpec) -> String {
    let (mut text, mut depth) = (String::new(), 0);
    let given = process.env.iter().map(|(name, value)| format!("{name}={value}"));
    let started: Vec<_> =
        given.chain(process.plays.iter().cloned()).chain(process.command.iter().cloned()).collect();
    for c in started.join(" ").chars() {
        depth += i32::from(c == '{');
        if depth == 0 && !c.is_ascii_digit() {
            text.push(c);
        }
        depth -= i32::from(c == '}');
    }
    text
}

/// A server that the system starts by its recipe, and this machine lacks: in CI that is a failure.
pub(crate) fn missing(name: &str) -> anyhow::Result<Option<&'static str>> {
    let missing = recipes(&read(name)?).find(|one| !one.is_installed()).map(|one| one.name);
    let is_user = std::env::var_os("CI").is_none();
    let is_needed = missing.is_some_and(|name| !servers::ELSEWHERE.contains(&name));
    ensure!(is_user || !is_needed, "CI runs scripts/install-servers first: {missing:?}");
    Ok(missing)
}

/// Whether a server of the system keeps nothing over its end.
pub(crate) fn forgets(spec: &SystemSpec) -> bool {
    recipes(spec).any(|one| servers::FORGETFUL.contains(&one.name))
}

/// Who must die for a role to be dead: whoever plays it, and of a cluster all nodes.
pub(crate) fn all_of(spec: &SystemSpec, role: &str) -> Vec<usize> {
    let mut all = spec.players(role);
    if role == "broker" {
        let is_node = |command: &[String]| command.iter().any(|word| word == "--nodes");
        let nodes = spec.processes.iter().enumerate();
        all.extend(nodes.filter(|(_, process)| is_node(&process.command)).map(|(index, _)| index));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// How many of its processes are servers that others wrote.
pub(crate) fn servers(spec: &SystemSpec) -> usize {
    recipes(spec).count()
}

/// The servers that others wrote, as its processes start them.
fn recipes(spec: &SystemSpec) -> impl Iterator<Item = &'static servers::Recipe> {
    spec.processes.iter().filter_map(|process| {
        let flag = process.command.iter().position(|word| word == "--server")?;
        servers::recipe(process.command.get(flag + 1)?)
    })
}

/// A system as its file has it.
pub(crate) fn read(name: &str) -> anyhow::Result<SystemSpec> {
    let path = root().join("systems").join(format!("{name}.toml"));
    Ok(SystemSpec::read(&path.to_string_lossy())?)
}

/// The files of all systems, in order.
fn files() -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root().join("systems"))? {
        let path = entry?.path();
        files.extend(Some(path).filter(|path| path.extension().is_some_and(|end| end == "toml")));
    }
    files.sort();
    Ok(files)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Where the programs are, once they are up to date.
fn folder() -> anyhow::Result<&'static Path> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = FOLDER.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|text| anyhow::anyhow!("{text}"))
}

fn build() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("a test without a folder")?;
    let profile = folder.file_name().context("a profile without a name")?.to_string_lossy();
    let target = folder.parent().context("a profile without a target folder")?;
    // `scripts/test` builds them itself.
    if std::env::var_os("TRIPTYCH_PROGRAMS_ARE_BUILT").is_some() {
        return Ok(folder.to_owned());
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--quiet", "--workspace", "--features", "engines"]);
    cargo.args(["--profile", if profile == "debug" { "dev" } else { &profile }]);
    cargo.arg("--target-dir").arg(target);
    for program in needed()? {
        cargo.args(["--bin", &program]);
    }
    let built = cargo.output()?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(folder.to_owned())
}

/// What the systems start, as far as this workspace makes it, and `loadgen`, which keeps it.
fn needed() -> anyhow::Result<BTreeSet<String>> {
    let mut named = BTreeSet::from(["loadgen".to_owned()]);
    for path in files()? {
        let spec = SystemSpec::read(&path.to_string_lossy())?;
        named.extend(spec.processes.into_iter().map(|process| process.command[0].clone()));
    }
    let own = own()?;
    Ok(named.into_iter().filter(|name| own.contains(name)).collect())
}

/// The programs that this workspace makes.
fn own() -> anyhow::Result<BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: Value = serde_json::from_slice(&cargo.output()?.stdout)?;
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let targets = packages.iter().flat_map(|package| package["targets"].as_array()).flatten();
    let bins = targets.filter(|target| target["kind"][0] == "bin");
    Ok(bins.filter_map(|bin| Some(bin["name"].as_str()?.to_owned())).collect())
}

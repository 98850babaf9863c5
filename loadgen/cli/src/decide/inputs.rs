//! The files of scenarios and systems that are otherwise than those in their folders: written into the run's folder,
//! so that whoever reads a record can run the same again, and then read as any other file is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use faults::Experiment;
use record::atomic_write;
use scenario::config;
use scenario::system::{self, SystemSpec};
use toml::{Table, Value};

use super::layout::{Layout, ScenarioFile, SystemFile};

/// Their folder in the run's.
pub(super) const INPUTS: &str = "inputs";

/// What is run.
pub(super) struct Inputs {
    pub(super) experiments: Vec<Experiment>,
    pub(super) systems: Vec<SystemSpec>,
}

impl Inputs {
    /// Writes what differs below `folder`, and reads all.
    ///
    /// # Errors
    /// If a file cannot be read or written, or what differs does not fit it.
    pub(super) fn make(folder: &Path, layout: &Layout) -> anyhow::Result<Self> {
        let experiments = layout.scenarios.iter().map(|file| experiment(folder, file));
        let experiments = experiments.collect::<anyhow::Result<Vec<_>>>()?;
        let systems = layout.systems.iter().map(|file| spec(folder, file));
        Ok(Self { experiments, systems: systems.collect::<anyhow::Result<Vec<_>>>()? })
    }
}

/// What stands in the file of a scenario at a dotted key.
pub(super) fn stands(base: &str, key: &str) -> Option<Value> {
    let path = scenario::locate("scenarios", base).ok()?;
    scenario::stands(&config::load(&path).ok()?, key)
}

fn experiment(folder: &Path, file: &ScenarioFile) -> anyhow::Result<Experiment> {
    let path = scenario::locate("scenarios", &file.base)?;
    if file.set.is_empty() && scenario::stem(&path) == file.name {
        return Ok(Experiment::read(&file.base)?);
    }
    let text = scenario::vary(&path, &config::load(&path)?, &file.set)?;
    let path = place(folder, "scenarios", &file.name, &text)?;
    let experiment = Experiment::read(&path.to_string_lossy());
    experiment.with_context(|| format!("{} with {}", file.base, told(&file.set)))
}

/// A variant of its base, as people write them.
fn spec(folder: &Path, file: &SystemFile) -> anyhow::Result<SystemSpec> {
    let path = scenario::locate(system::FOLDER, &file.base)?;
    let (replicas, settings) = (&file.replicas, &file.settings);
    let is_plain = replicas.is_empty() && settings.is_empty() && file.times == 0;
    if is_plain && scenario::stem(&path) == file.name {
        return Ok(SystemSpec::read(&file.base)?);
    }
    let base = path.canonicalize().with_context(|| path.display().to_string())?;
    let path = place(folder, "systems", &file.name, &variant(&base, file)?)?;
    Ok(SystemSpec::read(&path.to_string_lossy())?)
}

fn variant(base: &Path, file: &SystemFile) -> anyhow::Result<String> {
    let mut change = Table::new();
    let mut differs: Vec<String> = Vec::new();
    for (process, times) in &file.replicas {
        differs.push(format!("{process} is started {times} times"));
        let entry = change.entry(process).or_insert_with(|| Value::Table(Table::new()));
        put(entry, "replicas", Value::Integer(i64::from(*times)));
    }
    for (process, flags) in &file.settings {
        let mut arguments = Table::new();
        for (flag, value) in flags {
            differs.push(format!("{process} has {flag} {value}"));
            // Of arguments there are texts, and options that are there or not.
            let value = match value {
                Value::String(_) | Value::Boolean(_) => value.clone(),
                other => Value::String(other.to_string()),
            };
            arguments.insert(flag.clone(), value);
        }
        let entry = change.entry(process).or_insert_with(|| Value::Table(Table::new()));
        put(entry, "arguments", Value::Table(arguments));
    }
    if differs.is_empty() {
        differs.push("nothing but its name differs".to_owned());
    }
    let mut whole = Table::new();
    whole.insert("extends".to_owned(), Value::String(base.to_string_lossy().into_owned()));
    let told = Table::from_iter([("differs".to_owned(), Value::String(differs.join(", ")))]);
    whole.insert("variant".to_owned(), Value::Table(told));
    whole.insert("change".to_owned(), Value::Table(change));
    Ok(toml::to_string(&whole)?)
}

fn put(place: &mut Value, key: &str, value: Value) {
    if let Value::Table(table) = place {
        table.insert(key.to_owned(), value);
    }
}

fn place(folder: &Path, kind: &str, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    ensure!(!name.is_empty(), "a {kind} file without a name; rename the file");
    let folder = folder.join(kind);
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join(format!("{name}.toml"));
    atomic_write::write(&path, text.as_bytes())?;
    Ok(path)
}

fn told(set: &Table) -> String {
    let each = set.iter().map(|(key, value)| format!("{key} = {value}"));
    each.collect::<Vec<_>>().join(", ")
}

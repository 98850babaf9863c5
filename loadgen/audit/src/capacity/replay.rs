//! A finished search read back from its records: the trials are judged again and the search is
//! played again, so that nothing is said that the records do not say.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use record::read::{Run, Trial};

use super::search::{Answer, Rules, Search};
use super::trial_at_rate::{Keeps, TrialAtRate};
use super::used::{self, Used};

/// The search's settings, in its results folder.
pub const FILE: &str = "capacity.json";
/// The number that changes when a reader of an older file would misread a newer one.
pub const FORMAT: u32 = 1;

/// `capacity.json`: what was searched for, by which rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's own sentence.
    pub scenario_about: String,
    /// The systems, in order.
    pub systems: Vec<String>,
    /// An order that completes within this time counts, seconds.
    pub objective_s: f64,
    /// What of the scenario was left out.
    pub left_out: Vec<String>,
    /// Each trial's part before the measured window, seconds.
    pub warm_up_s: u32,
    /// The measured window, seconds.
    pub step_s: u32,
    /// When a rate counts as kept.
    pub keeps: Keeps,
    /// How the search goes.
    pub rules: Rules,
    /// The highest rate that the generator is trusted with here; absent if no search came near.
    pub generator_most_per_s: Option<u32>,
}

/// One system's capacity.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// The system.
    pub system: String,
    /// The answer in words.
    pub text: String,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// Who used the cores at the highest rate that is kept, or at the lowest that is not, the busiest
    /// first: means over its trials.
    pub used: Vec<Used>,
}

impl Capacity {
    fn of(system: &str, answer: Answer, steps: &[TrialAtRate]) -> Self {
        let at = answer.kept.or(answer.broken).map(|point| point.rate_per_s);
        let there =
            steps.iter().filter(|s| s.system == system && Some(s.rate_per_s) == at && s.valid);
        let used = used::mean(there.map(|step| &step.by_role));
        Self { system: system.to_owned(), text: answer.to_string(), answer, used }
    }

    /// Who used the cores, in words; empty if nobody watched.
    #[must_use]
    pub fn used(&self) -> String {
        match self.answer.kept.or(self.answer.broken) {
            Some(point) if !self.used.is_empty() => {
                format!("cores used at {}/s: {}", point.rate_per_s, used::text(&self.used))
            }
            _ => String::new(),
        }
    }
}

/// Who used the cores at a search's answer, in words.
pub fn used(system: &str, answer: Answer, steps: &[TrialAtRate]) -> String {
    Capacity::of(system, answer, steps).used()
}

/// All of a search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The results folder's name.
    pub run: String,
    /// What was searched for.
    pub settings: Settings,
    /// The answers, in the systems' order.
    pub capacities: Vec<Capacity>,
    /// The trials, in the order in which they ran. Times without an end are null.
    pub steps: Vec<TrialAtRate>,
}

/// The settings, if the folder holds a search.
///
/// # Errors
/// If the file cannot be read.
pub fn settings(folder: &Path) -> anyhow::Result<Option<Settings>> {
    let path = folder.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let settings: Settings = serde_json::from_slice(&bytes)
        .with_context(|| format!("{}: expected a search's settings", path.display()))?;
    anyhow::ensure!(
        settings.format == FORMAT,
        "{}: expected format {FORMAT}; found {}; use the revision that wrote it",
        path.display(),
        settings.format
    );
    Ok(Some(settings))
}

impl Found {
    /// Judges the trials of `run`, which was read from `folder`, and plays the search again.
    #[must_use]
    pub fn of(folder: &Path, run: &Run, settings: Settings) -> Self {
        let judge =
            |trial: &Trial| TrialAtRate::of(&folder.join(&trial.folder), trial, &settings.keeps);
        let mut steps: Vec<TrialAtRate> = run.trials.iter().map(judge).collect();
        steps.sort_by_key(|step| step.started_at_us);
        let capacity = |system: &String| {
            let mut search = Search::new(settings.rules);
            if let Some(most) = settings.generator_most_per_s {
                search.limit(most);
            }
            for step in steps.iter().filter(|s| s.system == *system && !s.interrupted) {
                search.add(step.rate_per_s, step.judged);
            }
            Capacity::of(system, search.answer(), &steps)
        };
        let capacities = settings.systems.iter().map(capacity).collect();
        Self { run: run.name.clone(), settings, capacities, steps }
    }

    /// Reads the results folder at `path`.
    ///
    /// # Errors
    /// If it holds no search, or its records cannot be read.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let settings = settings(path)?.with_context(|| {
            format!("{}: expected {FILE}, which `loadgen capacity` writes", path.display())
        })?;
        Ok(Self::of(path, &Run::read(path)?, settings))
    }
}

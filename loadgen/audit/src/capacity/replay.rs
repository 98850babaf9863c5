//! What a search leaves in its folder, and a finished search read back from its records: the trials are judged again and the search is
//! played again, so that nothing is said that the records do not say.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use record::atomic_write::write_json;
use record::read::{Run, Trial};

use super::search::{Answer, Rules, Search};
use super::trial_at_rate::{Keeps, TrialAtRate};
use super::used::{self, Used};

/// The search's settings and its answers, in its results folder.
pub const FILE: &str = "capacity.json";
/// The number that changes when a reader of an older file would misread a newer one.
pub const FORMAT: u32 = 1;

/// What was searched for, by which rules.
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
    /// Of a system, whose search has this answer, and of all trials of the search.
    #[must_use]
    pub fn of(system: &str, answer: Answer, steps: &[TrialAtRate]) -> Self {
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

/// What stands in the file: the answers are there when the search is over, for whoever opens it. Who reads a record
/// judges its trials anew.
#[derive(Serialize)]
struct Written<'s> {
    #[serde(flatten)]
    settings: &'s Settings,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacities: Option<&'s [Capacity]>,
}

/// Writes the settings, and the answers if the search is over.
///
/// # Errors
/// If the file cannot be written.
pub fn write(
    folder: &Path,
    settings: &Settings,
    capacities: Option<&[Capacity]>,
) -> anyhow::Result<()> {
    write_json(&folder.join(FILE), &Written { settings, capacities })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::search::Bound;
    use crate::capacity::trial_at_rate::ToldBy;

    #[test]
    fn a_file_with_answers_reads_as_the_settings_that_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            format: FORMAT,
            scenario: "steady".to_owned(),
            scenario_about: "x".to_owned(),
            systems: vec!["m".to_owned()],
            objective_s: 1.0,
            left_out: Vec::new(),
            warm_up_s: 3,
            step_s: 10,
            keeps: Keeps {
                share: 0.99,
                thresholds: Vec::new(),
                main_share: None,
                told_by: ToldBy::Seconds,
            },
            rules: Rules {
                from_per_s: 50,
                most_per_s: 100,
                bound: Bound::Asked,
                resolution: 0.05,
                trials: 1,
            },
            generator_most_per_s: None,
        };
        write(folder.path(), &settings, None).unwrap();
        assert_eq!(super::settings(folder.path()).unwrap().as_ref(), Some(&settings));
        let answer = Search::new(settings.rules).answer();
        let capacity = Capacity::of("m", answer, &[]);
        write(folder.path(), &settings, Some(std::slice::from_ref(&capacity))).unwrap();
        assert_eq!(super::settings(folder.path()).unwrap().as_ref(), Some(&settings));
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        let written: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written["capacities"][0]["system"], "m");
        assert_eq!(written["capacities"][0]["text"], capacity.text);
    }
}

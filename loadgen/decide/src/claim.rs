//! A claim: a sentence, where it stands, the experiment that decides it, and the rule. It knows no results.

mod expect;
mod file;
mod measure;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use scenario::config::{self, ConfigError};

pub use expect::{Bounds, Cell, Change, Direction, Expect, MARGIN, Quantity, Rule};
pub use file::{Across, Arm, Must, Predict, REPLICAS, Source, Sweep};
pub(crate) use measure::digits;
pub use measure::{AROUND_TRIGGER, Kind, Measure};

/// A sentence and what decides it.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The file's name.
    pub id: String,
    /// As its source has it.
    pub sentence: String,
    /// Who says so.
    pub source: Source,
    /// What is compared, by the names that `expect` uses.
    pub arms: BTreeMap<String, Arm>,
    /// The scenario's name, and what differs from its file: keys and parts as in TOML.
    pub scenario: String,
    /// What differs from the scenario's file, for all arms: dotted keys with their values.
    pub set: toml::Table,
    /// The same again at each of several values of a key.
    pub sweep: Option<Sweep>,
    /// The arm that must show that the experiment, not the sentence, is right: expectations of it alone must be met, or
    /// nothing is decided.
    pub control: Option<String>,
    /// What else could make the figures so.
    pub confounds: String,
    /// What would show that the sentence is wrong.
    pub refuted_by: String,
    /// What is lacking here to decide it; such a claim is told and not run.
    pub needs: Option<String>,
    /// It is none of the field's sentences but a control of the run: if it does not come out so, the run decides
    /// nothing.
    pub must: Option<Must>,
    /// How many blocks it is run for, if it is not for the run to say: an event needs more of them than a time does.
    pub blocks: Option<u32>,
    /// How those ask whom a model is to foresee.
    pub predict: Option<Predict>,
    /// All of these must be met.
    pub expect: Vec<Expect>,
}

impl Claim {
    /// Reads a claim, by its name in `./claims`, or a path.
    ///
    /// # Errors
    /// If the file is missing, does not parse, or contradicts itself; with the line.
    pub fn read(name: &str) -> Result<Self, ConfigError> {
        let path = scenario::locate("claims", name)?;
        Self::parse(&path, &config::load(&path)?)
    }

    /// As [`Claim::read`], from text that came from `path`.
    ///
    /// # Errors
    /// If the text does not parse or contradicts itself; with the line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        file::parse(path, text)
    }

    /// Whether shares and counts decide all that it expects, so that few blocks do.
    #[must_use]
    pub fn is_by_counts(&self) -> bool {
        self.needs.is_none() && self.expect.iter().all(Expect::is_by_counts)
    }

    /// How many points its sweep has; 1 without one.
    #[must_use]
    pub fn points(&self) -> usize {
        self.sweep.as_ref().map_or(1, |sweep| sweep.values.len() * sweep.rows())
    }

    /// Of a point its place in `values`, and in those of `across`, from 0.
    #[must_use]
    pub fn place(&self, point: usize) -> (usize, usize) {
        let across = self.sweep.as_ref().map_or(1, |sweep| sweep.values.len().max(1));
        (point % across, point / across)
    }

    /// The steps from a point to the next, along each side of the sweep.
    #[must_use]
    pub fn steps(&self) -> Vec<(usize, usize)> {
        let Some(sweep) = &self.sweep else { return Vec::new() };
        let (columns, rows) = (sweep.values.len(), sweep.rows());
        let along = (0..rows).flat_map(|row| (1..columns).map(move |column| (row, column)));
        let along = along.map(|(row, column)| row * columns + column).map(|to| (to - 1, to));
        along.chain((columns..columns * rows).map(|to| (to - columns, to))).collect()
    }

    /// A point of the sweep in words, from 0: "stages.0.rate = 200"; `None` without a sweep.
    #[must_use]
    pub fn point(&self, index: usize) -> Option<String> {
        let sweep = self.sweep.as_ref().filter(|_| index < self.points())?;
        let (column, row) = self.place(index);
        let one = format!("{} = {}", sweep.key, shown(sweep.values.get(column)?));
        let Some(across) = &sweep.across else { return Some(one) };
        Some(format!("{one}, {} = {}", across.key, shown(across.values.get(row)?)))
    }
}

/// A value as people write it.
#[must_use]
pub fn shown(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

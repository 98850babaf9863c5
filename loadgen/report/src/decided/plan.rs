//! `decided.json`: which claims were asked, and which scenario on which system is run for each of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use decide::Claim;
use record::atomic_write::write_json;
use record::files;
use record::read::{Validate, table};
use serde::{Deserialize, Serialize};

/// The number that changes when a reader of the old form would misread the new one.
const FORMAT: u32 = 1;

/// What was to be run, and why. Two runs of one plan decide the same claims by the same figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// 1.
    pub format: u32,
    /// The revision of the sources.
    pub revision: String,
    /// SHA-256 of the program that ran it.
    pub program: String,
    /// Whether only what counts decide was asked.
    pub quick: bool,
    /// How many blocks at most, of claims that have no number of their own.
    pub blocks: u32,
    /// The claims, the run's controls last.
    pub claims: Vec<Planned>,
    /// The text of each scenario, by its name in this run.
    pub scenarios: BTreeMap<String, String>,
    /// Each system as JSON, by its name in this run.
    pub systems: BTreeMap<String, String>,
    /// Controls of a run that this one does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A claim and what is run for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Its file, as it was named.
    pub path: PathBuf,
    /// What the file held.
    pub text: String,
    /// Whether it was asked for; a control of the run is there unasked.
    pub asked: bool,
    /// How many blocks it is run for at most; without it, as many as the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u32>,
    /// Of each point, in what share of trials a model foresees its event, from parameters alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicted: Vec<f64>,
    /// Where its figures come from; nowhere if it is told and not run.
    pub cells: Vec<Cell>,
}

/// An arm at a point of its claim's sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The arm's name.
    pub arm: String,
    /// The point, from 0.
    pub point: usize,
    /// The scenario's folder in the run.
    pub scenario: String,
    /// The system's folder below it.
    pub system: String,
}

impl Validate for Plan {
    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("format {}, expected {FORMAT}", self.format));
        }
        let names = self.scenarios.keys().chain(self.systems.keys());
        let cells = self.claims.iter().flat_map(|claim| &claim.cells);
        let mut names = names.chain(cells.flat_map(|cell| [&cell.scenario, &cell.system]));
        let is_none =
            |name: &&String| name.contains('/') || matches!(name.as_str(), "" | "." | "..");
        match names.find(is_none) {
            Some(name) => Err(format!("{name:?}, which can be no folder of records")),
            None => Ok(()),
        }
    }
}

impl Plan {
    /// One without claims.
    #[must_use]
    pub fn new(revision: &str, program: &str, quick: bool, blocks: u32) -> Self {
        let (revision, program) = (revision.to_owned(), program.to_owned());
        Self { format: FORMAT, revision, program, quick, blocks, ..Self::default() }
    }

    /// Reads a run's; `None` if it has none.
    ///
    /// # Errors
    /// If it cannot be read, or is of another format.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        Ok(table::json::<Self>(&folder.join(files::DECIDED))?)
    }

    /// Writes it into a run's folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write_json(&folder.join(files::DECIDED), self)
    }

    /// Its claims, parsed.
    ///
    /// # Errors
    /// If one does not parse; with the line.
    pub fn claims(&self) -> anyhow::Result<Vec<Claim>> {
        let parse = |claim: &Planned| Ok(Claim::parse(&claim.path, &claim.text)?);
        self.claims.iter().map(parse).collect()
    }

    /// How many blocks are run for this claim at most.
    #[must_use]
    pub fn blocks_of(&self, claim: &Planned) -> u32 {
        claim.blocks.unwrap_or(self.blocks)
    }

    /// How many blocks are run at most.
    #[must_use]
    pub fn most_blocks(&self) -> u32 {
        let each = self.claims.iter().map(|claim| self.blocks_of(claim));
        each.max().unwrap_or(self.blocks)
    }

    /// The first thing in which another one differs, in words; `None` if they are alike.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Option<String> {
        let texts = [
            ("the revision", &self.revision, &other.revision),
            ("the program", &self.program, &other.program),
        ];
        let mut told = texts.into_iter().filter(|(_, one, other)| one != other);
        if let Some((what, one, other)) = told.next() {
            return Some(format!("{what} was {one} and is {other}"));
        }
        let changed = |what: &str, one: &BTreeMap<String, String>, other: &BTreeMap<_, _>| {
            let name = one.iter().find(|(name, text)| other.get(*name) != Some(*text))?.0;
            Some(format!("the {what} {name} is another"))
        };
        let claim = self.claims.iter().zip(&other.claims).find(|(one, other)| one != other);
        let claim = claim.map(|(one, _)| format!("{} is another", one.path.display()));
        claim
            .or_else(|| changed("scenario", &self.scenarios, &other.scenarios))
            .or_else(|| changed("system", &self.systems, &other.systems))
            .or_else(|| (self != other).then(|| "other claims are asked".to_owned()))
    }
}

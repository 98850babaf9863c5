//! A campaign: many trials under random faults, held together in one table. It reads records and runs
//! nothing; which scenarios and systems were meant is the script's business.

mod recover;
mod tally;
mod text;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use record::atomic_write::{write as write_whole, write_json};
use record::files;
use record::read::{manifest, table};
use record::{FaultRow, Manifest, Verdict};

pub use recover::{Quantiles, Spell, quantiles};
pub use tally::{
    Campaign, ClassSum, Conclusion, ControlSum, FaultSum, SystemSum, Troubled, Unproved, tally,
};

/// How far below the folder trials are looked for: name/system/run/scenario/system/trial.
const DEPTH_MAX: u32 = 8;

/// One trial, judged.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Trial {
    /// Its folder.
    pub folder: String,
    /// `manifest.json`.
    pub manifest: Manifest,
    /// `faults.csv`.
    pub faults: Vec<FaultRow>,
    /// What the audit says now.
    pub audit: Verdict,
}

/// Reads and judges every trial below the folders, and adds them up.
///
/// # Errors
/// If a folder or a manifest cannot be read, or there is no trial. What of a trial's tables cannot be
/// read makes its verdict unknown.
pub fn read(folders: &[PathBuf]) -> anyhow::Result<Campaign> {
    let mut trials = Vec::new();
    let mut broken = Vec::new();
    for folder in folders {
        gather(folder, DEPTH_MAX, &mut trials, &mut broken)?;
    }
    if trials.is_empty() {
        let names: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
        anyhow::bail!(
            "{}: expected folders with a trial's manifest.json in or below them, found none; give the folder that scripts/campaign has written",
            names.join(", ")
        );
    }
    Ok(tally(&trials, broken))
}

/// A folder that holds an undo journal and no manifest is a trial that ended before its record.
fn gather(
    folder: &Path,
    depth: u32,
    trials: &mut Vec<Trial>,
    broken: &mut Vec<String>,
) -> anyhow::Result<()> {
    if let Some(manifest) = manifest(folder)? {
        let faults = table::rows(&folder.join(files::FAULTS), true)?;
        let audit = crate::record(folder, &manifest);
        trials.push(Trial { folder: folder.display().to_string(), manifest, faults, audit });
        return Ok(());
    }
    if folder.join("undo.jsonl").exists() {
        broken.push(folder.display().to_string());
    }
    if depth == 0 {
        return Ok(());
    }
    let unreadable = || format!("cannot read the folder {}", folder.display());
    let mut below = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        // `latest` is a link to a folder that is met anyway.
        if entry.file_type().with_context(unreadable)?.is_dir() {
            below.push(entry.path());
        }
    }
    below.sort();
    below.iter().try_for_each(|folder| gather(folder, depth - 1, trials, broken))
}

impl Campaign {
    /// Writes campaign.md, campaign.csv and campaign.json into the folder.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write_whole(&folder.join("campaign.md"), self.text().as_bytes())?;
        write_whole(&folder.join("campaign.csv"), self.csv()?.as_bytes())?;
        write_json(&folder.join("campaign.json"), self)
    }
}

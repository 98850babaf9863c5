//! From a trial's folder to its verdict, row by row. The run and `loadgen audit` take the same way.

use std::path::Path;

use anyhow::Context;

use super::{Audit, Window, recovery};
use crate::record::read::table;
use crate::record::{FaultRow, Manifest, TimelineRow, Verdict};
use crate::{history, ledger, prepare};

/// Judges the record in `folder`; what cannot be read makes the verdict unknown.
#[must_use]
pub fn record(folder: &Path, manifest: &Manifest) -> Verdict {
    let unreadable = &manifest.evidence.unreadable;
    if !unreadable.is_empty() {
        return Verdict::unreadable(unreadable.clone());
    }
    judge(folder, manifest).unwrap_or_else(|error| Verdict::unreadable(format!("{error:#}")))
}

fn judge(folder: &Path, manifest: &Manifest) -> anyhow::Result<Verdict> {
    let faults: Vec<FaultRow> = table::rows(&folder.join("faults.csv"), true)?;
    let timeline: Vec<TimelineRow> = table::rows(&folder.join("timeline.csv"), true)?;
    let mut audit = Audit::new(Window::of(&faults));
    for key in prepare::keys(&manifest.key_prefix, manifest.prepared_orders) {
        audit.prepared(&key);
    }
    for attempt in history::read(folder)? {
        audit.attempt(&attempt?);
    }
    let mut doubts = manifest.evidence.doubts.clone();
    let recorded = manifest.requests.get("place").map_or(0, |counts| counts.ok);
    if recorded != audit.answered() {
        let (found, what) = (audit.answered(), "acknowledgements");
        doubts.push(format!("the history holds {found} {what}; the recorder counted {recorded}"));
    }
    feed_ledger(&mut audit, folder).context("the ledger cannot be read")?;
    // Older records do not say how the drain ended, but an interrupted one did not wait.
    let waited = manifest.evidence.waited.unwrap_or(!manifest.validity.interrupted);
    let recovery = recovery(manifest, &timeline, &faults);
    Ok(Verdict { recovery, ..audit.judge(waited, doubts) })
}

fn feed_ledger(audit: &mut Audit, folder: &Path) -> anyhow::Result<()> {
    for row in ledger::orders(folder, 1)? {
        audit.order(&row?);
    }
    for replica in ledger::replicas(folder) {
        audit.replica(ledger::orders(folder, replica)?)?;
    }
    for row in ledger::charges(folder)? {
        audit.charge(&row?);
    }
    for row in ledger::dead(folder)? {
        audit.dead(&row?);
    }
    Ok(())
}

/// A trial as `loadgen audit` shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Read {
    /// The trial's folder.
    pub folder: String,
    /// The scenario.
    pub scenario: String,
    /// The system.
    pub system: String,
    /// The repetition.
    pub trial: u32,
    /// What the audit says now.
    pub audit: Verdict,
}

impl Read {
    /// Judges one trial.
    #[must_use]
    pub fn trial(folder: &Path, manifest: &Manifest) -> Self {
        Self {
            folder: folder.display().to_string(),
            scenario: manifest.scenario.clone(),
            system: manifest.system.clone(),
            trial: manifest.trial,
            audit: record(folder, manifest),
        }
    }
}

//! From a trial's folder to its verdict, row by row. The run and `loadgen audit` take the same way.

use std::path::Path;

use anyhow::Context;

use super::{Audit, Traces, Window, recovery};
use crate::history::Attempt;
use crate::record::read::table;
use crate::record::whole::write_json;
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

/// Everything that the record in `folder` holds about the order with this key.
///
/// # Errors
/// If a table cannot be read.
pub fn traces(folder: &Path, manifest: &Manifest, key: &str) -> anyhow::Result<Traces> {
    let mut traces = Traces {
        faults: table::rows(&folder.join("faults.csv"), true)?,
        started_at_us: manifest.started_at_us,
        ..Traces::default()
    };
    let about = |a: &Attempt| a.key == key || a.about == key;
    traces.attempts = chosen(history::read(folder)?, about)?;
    for replica in std::iter::once(1).chain(ledger::replicas(folder)) {
        let who = if replica == 1 { "orders".to_owned() } else { format!("replica {replica}") };
        let rows = chosen(ledger::orders(folder, replica)?, |row| row.key == key)?;
        traces.orders.extend(rows.into_iter().map(|row| (who.clone(), row)));
    }
    traces.charges = chosen(ledger::charges(folder)?, |row| row.key == key)?;
    traces.dead = chosen(ledger::dead(folder)?, |row| row.key == key)?;
    Ok(traces)
}

fn chosen<T>(
    rows: impl Iterator<Item = anyhow::Result<T>>,
    wanted: impl Fn(&T) -> bool,
) -> anyhow::Result<Vec<T>> {
    rows.filter(|row| row.as_ref().map_or(true, &wanted)).collect()
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

    /// Replaces the trial's `audit.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        write_json(&Path::new(&self.folder).join("audit.json"), &self.audit)
    }
}

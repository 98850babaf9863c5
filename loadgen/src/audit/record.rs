//! From a trial's folder to its verdict, row by row. The run and `loadgen audit` take the same way.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::{Audit, Traces, Window, recovery};
use crate::record::poisoned;
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
    for attempt in poisoned::read(folder)? {
        audit.poisoned(&attempt);
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
    Ok(traces_of(folder, manifest, &[key])?.remove(key).unwrap_or_default())
}

/// The same of several orders, by key, in one pass over the record.
///
/// # Errors
/// If a table cannot be read.
pub fn traces_of(
    folder: &Path,
    manifest: &Manifest,
    keys: &[&str],
) -> anyhow::Result<BTreeMap<String, Traces>> {
    let empty = Traces {
        faults: table::rows(&folder.join("faults.csv"), true)?,
        started_at_us: manifest.started_at_us,
        ..Traces::default()
    };
    let mut all: BTreeMap<String, Traces> =
        keys.iter().map(|key| ((*key).to_owned(), empty.clone())).collect();
    let poisoned = poisoned::read(folder)?.into_iter().map(Ok);
    for row in history::read(folder)?.chain(poisoned) {
        let row = row?;
        // A placed order has a key, a look-up says what it was about.
        let key = if row.key.is_empty() { &row.about } else { &row.key };
        if let Some(traces) = all.get_mut(key) {
            traces.attempts.push(row);
        }
    }
    for replica in std::iter::once(1).chain(ledger::replicas(folder)) {
        let who = if replica == 1 { "orders".to_owned() } else { format!("replica {replica}") };
        chosen(
            &mut all,
            ledger::orders(folder, replica)?,
            |row| &row.key,
            |traces, row| {
                traces.orders.push((who.clone(), row));
            },
        )?;
    }
    let charges = ledger::charges(folder)?;
    chosen(&mut all, charges, |row| &row.key, |traces, row| traces.charges.push(row))?;
    let dead = ledger::dead(folder)?;
    chosen(&mut all, dead, |row| &row.key, |traces, row| traces.dead.push(row))?;
    Ok(all)
}

fn chosen<T>(
    all: &mut BTreeMap<String, Traces>,
    rows: impl Iterator<Item = anyhow::Result<T>>,
    key: impl Fn(&T) -> &String,
    put: impl Fn(&mut Traces, T),
) -> anyhow::Result<()> {
    for row in rows {
        let row = row?;
        if let Some(traces) = all.get_mut(key(&row)) {
            put(traces, row);
        }
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

    /// Replaces the trial's `audit.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        write_json(&Path::new(&self.folder).join("audit.json"), &self.audit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::cases::{charge, dead, order};
    use crate::history::Attempt;
    use crate::ledger::Ledger;
    use crate::record::write_csv;
    use crate::record::{Answer, RequestCounts};

    fn attempt(key: &str, about: &str, done_s: u64) -> Attempt {
        Attempt {
            key: key.to_owned(),
            operation: if about.is_empty() { "place" } else { "get" }.to_owned(),
            amount_cents: 500,
            done_ns: done_s * 1_000_000_000,
            outcome: "ok".to_owned(),
            status: 200,
            receipt: "paid".to_owned(),
            about: about.to_owned(),
            ..Attempt::default()
        }
    }

    /// A record of one order of the load and one of the preparation.
    fn written(change: impl FnOnce(&mut Ledger)) -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        // The same order twice: a client that asks again has the same answer.
        let placed = attempt("1-00000000", "", 3);
        let attempts = [placed.clone(), placed, attempt("", "1-00000000", 4)];
        history::write_table(&folder.path().join(history::FILE), &attempts).unwrap();
        let keys = ["1-00000000", "1-p0"];
        let mut ledger = Ledger {
            orders: keys.map(|key| order(key, "paid", &[])).to_vec(),
            charges: keys.map(|key| charge(key, "captured", &[])).to_vec(),
            ..Ledger::default()
        };
        change(&mut ledger);
        ledger.write(folder.path()).unwrap();
        assert_eq!(Ledger::read(folder.path()).unwrap(), ledger);
        let counts = RequestCounts { ok: 2, ..RequestCounts::default() };
        let mut manifest = Manifest::default();
        (manifest.key_prefix, manifest.prepared_orders) = ("1".to_owned(), 1);
        manifest.requests.insert("place".to_owned(), counts);
        (folder, manifest)
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Ledger), expected: Answer, class: &str) {
        let (folder, manifest) = written(change);
        let verdict = record(folder.path(), &manifest);
        assert_eq!(verdict.verdict, expected, "{verdict:?}");
        let met = verdict.violations.iter().find(|found| found.count > 0);
        assert_eq!(met.map_or("", |found| found.class.as_str()), class);
    }

    #[test]
    fn every_table_is_judged() {
        check(|_| (), Answer::True, "");
        check(|l| l.orders.truncate(1), Answer::False, "lost");
        check(|l| l.charges.truncate(1), Answer::False, "paid-without-charge");
        check(|l| l.replicas = vec![l.orders.clone(); 2], Answer::True, "");
        check(|l| l.replicas = vec![l.orders.clone(), Vec::new()], Answer::False, "diverged");
        check(|l| l.dead = vec![dead("stranger")], Answer::False, "phantom");
        check(|l| l.orders[0].status = "pending".to_owned(), Answer::False, "orphan-charge");
    }

    #[test]
    fn what_is_not_whole_is_unknown() {
        let (folder, mut manifest) = written(|_| ());
        let judged = |manifest: &Manifest| record(folder.path(), manifest);
        manifest.requests.get_mut("place").unwrap().ok = 3;
        let short = judged(&manifest);
        assert_eq!(short.verdict, Answer::Unknown);
        assert!(short.reasons[0].contains("holds 2 acknowledgements; the recorder counted 3"));
        manifest.evidence.doubts.push("a doubt".to_owned());
        assert_eq!(judged(&manifest).reasons[0], "a doubt");
        manifest.evidence.unreadable = "no ledger".to_owned();
        assert_eq!(judged(&manifest), Verdict::unreadable("no ledger".to_owned()));
        manifest.evidence.unreadable.clear();
        std::fs::remove_file(folder.path().join("orders.csv.zst")).unwrap();
        assert!(judged(&manifest).reasons[0].starts_with("the ledger cannot be read"));
    }

    #[test]
    fn an_older_record_waited_unless_it_was_interrupted() {
        let open =
            |l: &mut Ledger| l.orders.iter_mut().for_each(|o| o.status = "pending".to_owned());
        let (folder, mut manifest) = written(open);
        let stuck = |manifest: &Manifest| {
            let all = record(folder.path(), manifest).violations;
            all.into_iter().find(|found| found.class == "stuck").unwrap().count
        };
        assert_eq!(stuck(&manifest), 2);
        manifest.validity.interrupted = true;
        assert_eq!(stuck(&manifest), 0);
        manifest.evidence.waited = Some(true);
        assert_eq!(stuck(&manifest), 2);
    }

    #[test]
    fn a_power_cut_of_the_record_makes_its_acknowledgements_unknown() {
        let (folder, manifest) = written(|l| l.orders.retain(|o| o.key == "1-p0"));
        let cut = FaultRow {
            kind: "power-cut".to_owned(),
            commanded_s: 2.0,
            effective_s: Some(2.0),
            healed_s: Some(5.0),
            ..FaultRow::default()
        };
        write_csv(&folder.path().join("faults.csv"), &[cut]).unwrap();
        let verdict = record(folder.path(), &manifest);
        let class =
            |class: &str| verdict.violations.iter().find(|f| f.class == class).unwrap().count;
        assert_eq!((class("lost"), class("orphan-charge")), (0, 1), "{verdict:?}");
        assert!(verdict.recovery.is_some());
        let traces = traces(folder.path(), &manifest, "1-00000000").unwrap();
        assert_eq!((traces.attempts.len(), traces.orders.len(), traces.charges.len()), (3, 0, 1));
    }
}

//! From a trial's folder to its verdict, row by row. The run and `loadgen audit` take the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};

use super::{Audit, Clock, Setting, Traces, Window, recovery};
use record::atomic_write::write_json;
use record::files;
use record::read::table;
use record::{
    Attempt, Attempts, Doubt, FaultRow, Manifest, Operation, Outcome, RequestCounts, TimelineRow,
    Trouble, Verdict, history, ledger, poisoned, prepared_keys, reads, seal,
};

/// Judges the record in `folder`; what cannot be read, or is not what the trial wrote, makes the verdict
/// unknown: of a table that lacks rows nothing follows.
#[must_use]
pub fn record(folder: &Path, manifest: &Manifest) -> Verdict {
    let unreadable = &manifest.evidence.unreadable;
    if !unreadable.is_empty() {
        return Verdict::unreadable(unreadable.clone());
    }
    let broken = manifest.tables.as_ref().map(|seals| seal::broken(folder, seals));
    match broken.filter(|broken| !broken.is_empty()) {
        Some(broken) => {
            let reasons = broken.into_iter().map(Doubt::from).collect();
            Verdict { reasons, ..Verdict::default() }
        }
        None => judge(folder, manifest)
            .unwrap_or_else(|error| Verdict::unreadable(format!("{error:#}"))),
    }
}

fn judge(folder: &Path, manifest: &Manifest) -> anyhow::Result<Verdict> {
    let faults: Vec<FaultRow> = table::rows(&folder.join(files::FAULTS), true)?;
    let timeline: Vec<TimelineRow> = table::rows(&folder.join(files::TIMELINE), true)?;
    let mut audit = Audit::new(setting(manifest, &faults));
    for (customer, key) in (0..).zip(prepared_keys(&manifest.key_prefix, manifest.prepared_orders))
    {
        audit.prepared(&key, customer);
    }
    let named = feed_history(&mut audit, folder, manifest)?;
    for attempt in poisoned::read(folder)? {
        audit.poisoned(&attempt);
    }
    feed_ledger(&mut audit, folder).context("the ledger cannot be read")?;
    let read = reads::read(folder)?;
    let mut unchecked = unchecked(manifest, named);
    match read {
        Some(rows) => rows.into_iter().try_for_each(|row| row.map(|row| audit.read(&row)))?,
        None => unchecked.push("what customers read after the drain: nobody did".to_owned()),
    }
    let recovery = recovery(manifest, &timeline, &faults, &audit.work());
    Ok(Verdict { recovery, unchecked, ..audit.judge() })
}

fn setting(manifest: &Manifest, faults: &[FaultRow]) -> Setting {
    let evidence = &manifest.evidence;
    let drift_us = manifest.generator.clock_drift_us;
    Setting {
        windows: Window::of(faults),
        clock: Clock::new(manifest.started_at_us, evidence.clocks_read_within_us, drift_us),
        tokens_until_ns: evidence.tokens_until_us.map(|until_us| {
            let us = until_us.saturating_sub(manifest.started_at_us);
            u64::try_from(us.saturating_mul(1_000)).unwrap_or(0)
        }),
        network_lines: evidence.network_lines,
        // Older records do not say how the drain ended, but an interrupted one did not wait.
        waited: evidence.waited.unwrap_or(!manifest.validity.interrupted),
        notified: evidence.notified,
        stocked: evidence.stocked,
        doubts: evidence.doubts.iter().cloned().map(Doubt::from).collect(),
    }
}

/// What this record does not allow to check, mostly because it is older than the check.
fn unchecked(manifest: &Manifest, named: bool) -> Vec<String> {
    let evidence = &manifest.evidence;
    let lacks = [
        (manifest.tables.is_none(), "whether a table lacks its last rows: none is sealed"),
        (
            evidence.network_lines.is_none(),
            "whether the journal has all of its lines, and no others",
        ),
        (
            evidence.tokens_until_us.is_none(),
            "customers who were refused (401): whether their tokens were good",
        ),
        (!named, "which order an answer named, and its sum"),
    ];
    lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, what)| what.to_owned()).collect()
}

/// Returns whether answers name orders.
///
/// # Errors
/// If the history cannot be read, or holds other outcomes than the recorder counted.
fn feed_history(audit: &mut Audit, folder: &Path, manifest: &Manifest) -> anyhow::Result<bool> {
    let (mut counted, mut named) = (Counted::default(), false);
    for attempt in history::read(folder)? {
        let attempt = attempt?;
        counted.add(&attempt);
        named |= !attempt.order.is_empty();
        audit.attempt(&attempt);
    }
    counted.compare(manifest)?;
    Ok(named)
}

/// Operation, what became of it, and the answer.
type Kind = (Operation, Outcome, u16, Trouble);

/// The history's lines by operation and what became of them, as the recorder counts them.
#[derive(Default)]
struct Counted(BTreeMap<Kind, u64>);

impl Counted {
    fn add(&mut self, a: &Attempt) {
        *self.0.entry((a.operation, a.outcome, a.status, a.trouble)).or_default() += 1;
    }

    /// Holds them against the recorder's counts.
    fn compare(&self, manifest: &Manifest) -> anyhow::Result<()> {
        for (operation, requests) in &manifest.requests {
            if requests.recorded() < requests.scheduled {
                let lost = requests.scheduled - requests.recorded();
                bail!("{}: it lacks {lost} requests of the operation {operation}", files::HISTORY);
            }
        }
        // Older records count requests by outcome, and none was asked for again.
        if manifest.attempts.is_empty() {
            return manifest.requests.iter().try_for_each(|(operation, requests)| {
                outcomes(requests).into_iter().try_for_each(|(outcome, recorded)| {
                    let of = |kind: &Kind| kind.0 == *operation && kind.1 == outcome;
                    let found = self.0.iter().filter(|(kind, _)| of(kind)).map(|(_, count)| count);
                    same(&format!("{operation} {outcome}"), found.sum(), recorded)
                })
            });
        }
        let mut recorded = BTreeMap::new();
        for kind in &manifest.attempts {
            let Attempts { operation, outcome, status, trouble, count } = *kind;
            *recorded.entry((operation, outcome, status, trouble)).or_default() += count;
        }
        let kinds: BTreeSet<_> = recorded.keys().chain(self.0.keys()).collect();
        kinds.into_iter().try_for_each(|kind| {
            let (operation, outcome, status, trouble) = kind;
            let count = |of: &BTreeMap<_, u64>| of.get(kind).copied().unwrap_or(0);
            let what = format!("{operation} {outcome} {status} {trouble}");
            same(what.trim_end(), count(&self.0), count(&recorded))
        })
    }
}

fn outcomes(counts: &RequestCounts) -> [(Outcome, u64); 5] {
    Outcome::ALL.map(|outcome| (outcome, counts.of(outcome)))
}

fn same(what: &str, found: u64, recorded: u64) -> anyhow::Result<()> {
    if found != recorded {
        let file = files::HISTORY;
        bail!(
            "{file}: it holds {found} attempts of the kind {what:?}; the recorder counted {recorded}"
        );
    }
    Ok(())
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
    for row in ledger::shelves(folder)? {
        audit.shelf(&row?);
    }
    for row in ledger::reservations(folder)? {
        audit.reservation(&row?);
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
        faults: table::rows(&folder.join(files::FAULTS), true)?,
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
        write_json(&Path::new(&self.folder).join(files::AUDIT), &self.audit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{charge, dead, order};
    use record::ledger::Ledger;
    use record::{Answer, Receipt, write_csv, write_table};

    fn attempt(key: &str, about: &str, done_s: u64) -> Attempt {
        Attempt {
            key: key.to_owned(),
            operation: if about.is_empty() { Operation::Place } else { Operation::Get },
            amount_cents: 500,
            done_ns: done_s * 1_000_000_000,
            outcome: Outcome::Ok,
            status: 200,
            receipt: Receipt::Paid,
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
        write_table(&folder.path().join(files::HISTORY), &attempts).unwrap();
        let keys = ["1-00000000", "1-p0"];
        let mut ledger = Ledger {
            orders: keys.map(|key| order(key, "paid", &[])).to_vec(),
            charges: keys.map(|key| charge(key, "captured", &[])).to_vec(),
            ..Ledger::default()
        };
        change(&mut ledger);
        ledger.write(folder.path()).unwrap();
        assert_eq!(Ledger::read(folder.path()).unwrap(), ledger);
        let mut manifest = Manifest::default();
        (manifest.key_prefix, manifest.prepared_orders) = ("1".to_owned(), 1);
        for (operation, ok) in [(Operation::Place, 2), (Operation::Get, 1)] {
            let counts = RequestCounts { ok, scheduled: ok, ..RequestCounts::default() };
            manifest.requests.insert(operation, counts);
        }
        (folder, manifest)
    }

    /// The same, sealed, with tables of everything.
    fn sealed() -> (tempfile::TempDir, Manifest) {
        let (folder, mut manifest) = written(|l| {
            l.replicas = vec![l.orders.clone()];
            l.dead = vec![dead("1-p0")];
        });
        let path = folder.path();
        write_table(&path.join(files::POISONED), &[attempt("1-poison-0", "", 5)]).unwrap();
        let read =
            reads::ReadRow::new(0, reads::How::Get, 200, "1-p0", Some(order("1-p0", "paid", &[])));
        write_table(&path.join(files::READS), &[read]).unwrap();
        write_csv::<FaultRow>(&path.join("faults.csv"), &[]).unwrap();
        write_csv(&path.join("timeline.csv"), &[TimelineRow::default()]).unwrap();
        manifest.tables = Some(seal::seal(path).unwrap());
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
        let short = |change: fn(&mut RequestCounts), expected: &str| {
            let mut manifest = manifest.clone();
            change(manifest.requests.get_mut(&Operation::Place).unwrap());
            let verdict = judged(&manifest);
            assert_eq!((verdict.verdict, verdict.reasons.len()), (Answer::Unknown, 1));
            assert!(verdict.reasons[0].to_string().contains(expected), "{verdict:?}");
        };
        short(|place| place.ok = 3, "2 attempts of the kind \"place ok\"; the recorder counted 3");
        short(|place| place.failed = 1, "0 attempts of the kind \"place failed\"; the recorder");
        short(|place| place.scheduled = 9, "it lacks 7 requests of the operation place");
        let kind = |operation, status, count| Attempts {
            operation,
            outcome: Outcome::Ok,
            status,
            count,
            ..Attempts::default()
        };
        let mut counted = manifest.clone();
        counted.attempts = vec![kind(Operation::Place, 200, 2), kind(Operation::Get, 200, 1)];
        assert_eq!(judged(&counted).verdict, Answer::True);
        counted.attempts[1].status = 503;
        let verdict = judged(&counted);
        assert_eq!(verdict.verdict, Answer::Unknown);
        assert!(
            verdict.sentences()[0].contains("1 attempts of the kind \"get ok 200\""),
            "{verdict:?}"
        );
        manifest.evidence.doubts.push("a doubt".to_owned());
        assert_eq!(judged(&manifest).sentences()[0], "a doubt");
        manifest.evidence.unreadable = "no ledger".to_owned();
        assert_eq!(judged(&manifest), Verdict::unreadable("no ledger".to_owned()));
        manifest.evidence.unreadable.clear();
        std::fs::remove_file(folder.path().join("orders.csv.zst")).unwrap();
        assert!(judged(&manifest).sentences()[0].starts_with("the ledger cannot be read"));
    }

    #[test]
    fn a_torn_table_is_not_an_empty_one() {
        let (folder, manifest) = sealed();
        let poison = record(folder.path(), &manifest);
        // The poisonous order is lost, the dead letter is of a final one.
        assert_eq!((poison.verdict, poison.reasons.len()), (Answer::False, 0), "{poison:?}");
        for name in manifest.tables.as_ref().unwrap().keys() {
            let path = folder.path().join(name);
            let whole = std::fs::read(&path).unwrap();
            let torn = [&whole[..whole.len() * 9 / 10], &[]];
            for bytes in torn.into_iter().filter(|bytes| bytes.len() < whole.len()) {
                std::fs::write(&path, bytes).unwrap();
                let verdict = record(folder.path(), &manifest);
                assert_eq!(verdict.verdict, Answer::Unknown, "{name}: {verdict:?}");
                assert!(
                    verdict.sentences().iter().any(|reason| reason.contains(name.as_str())),
                    "{name}"
                );
            }
            std::fs::remove_file(&path).unwrap();
            let verdict = record(folder.path(), &manifest);
            assert_eq!(verdict.verdict, Answer::Unknown, "{name}: {verdict:?}");
            std::fs::write(&path, whole).unwrap();
        }
        assert_eq!(record(folder.path(), &manifest), poison);
    }

    #[test]
    fn a_torn_table_of_an_older_record_is_unknown_and_what_is_unchecked_is_said() {
        for name in ["history.csv.zst", "orders.csv.zst", "charges.csv.zst", "orders-2.csv.zst"] {
            let (folder, mut manifest) = sealed();
            manifest.tables = None;
            let path = folder.path().join(name);
            let whole = std::fs::read(&path).unwrap();
            for bytes in [&whole[..whole.len() * 9 / 10], &[]] {
                std::fs::write(&path, bytes).unwrap();
                let verdict = record(folder.path(), &manifest);
                assert_eq!(verdict.verdict, Answer::Unknown, "{name}: {verdict:?}");
                assert!(verdict.sentences()[0].contains(name), "{name}: {:?}", verdict.reasons);
            }
        }
        let (folder, manifest) = written(|_| ());
        let verdict = record(folder.path(), &manifest);
        assert_eq!(verdict.verdict, Answer::True);
        assert_eq!(verdict.unchecked.len(), 5, "{:?}", verdict.unchecked);
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

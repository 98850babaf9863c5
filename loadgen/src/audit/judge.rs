//! Takes the facts of a record, one at a time, and gives the verdict. What it keeps grows with the
//! number of keys, not of attempts: about 150 bytes each.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::journal::Journal;
use super::story::{Story, Told};
use super::{Class, Kind};
use crate::history::Attempt;
use crate::ledger::{ChargeRow, DeadRow, Ledger, OrderRow};
use crate::record::{Answer, AuditCounts, FaultRow, Finding, Verdict};

/// Keys shown per class.
const EXAMPLES: usize = 48;
const NS_PER_S: f64 = 1e9;

/// Time in which an answer proves nothing: the power was being cut. An answer that is complete on its
/// edge is within it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// When the cut was ordered, s.
    pub from_s: f64,
    /// When it was healed, s.
    pub to_s: f64,
}

impl Window {
    /// The windows of a record's faults; a cut that was never healed lasts for ever.
    #[must_use]
    pub fn of(faults: &[FaultRow]) -> Vec<Self> {
        let cuts = faults.iter().filter(|fault| fault.kind == "power-cut");
        cuts.map(|fault| Self {
            from_s: fault.commanded_s,
            to_s: fault.healed_s.unwrap_or(f64::INFINITY),
        })
        .collect()
    }

    fn holds(&self, ns: u64) -> bool {
        let at_s = ns as f64 / NS_PER_S;
        self.from_s <= at_s && at_s <= self.to_s
    }
}

/// An audit that is being fed. First what the preparation and the customers did, then what the
/// ledger says.
#[derive(Debug, Default)]
pub struct Audit {
    windows: Vec<Window>,
    stories: HashMap<Box<str>, Story>,
    journal: Journal,
    /// Acknowledgements met in the history, indeterminate ones included.
    answered: u64,
    captured_cents: i64,
    paid_cents: i64,
    fingerprint: BuildHasherDefault<DefaultHasher>,
}

impl Audit {
    /// An audit of a trial with these windows.
    #[must_use]
    pub fn new(windows: Vec<Window>) -> Self {
        Self { windows, ..Self::default() }
    }

    fn story(&mut self, key: &str) -> &mut Story {
        self.stories.entry(key.into()).or_default()
    }

    /// An order that was placed and acknowledged before second 0.
    pub fn prepared(&mut self, key: &str) {
        self.story(key).acknowledged("pending", 0, 0);
    }

    /// One attempt of the history.
    pub fn attempt(&mut self, attempt: &Attempt) {
        let within = self.windows.iter().any(|window| window.holds(attempt.done_ns));
        match attempt.operation.as_str() {
            "place" if attempt.outcome != "dropped" => self.place(attempt, within),
            "get" if !within && !attempt.about.is_empty() => self.look(attempt),
            _ => {}
        }
    }

    /// One attempt to place an order that the scenario poisons on purpose.
    pub fn poisoned(&mut self, attempt: &Attempt) {
        self.attempt(attempt);
        self.story(&attempt.key).poisoned = true;
    }

    fn place(&mut self, attempt: &Attempt, within: bool) {
        let ok = attempt.outcome == "ok";
        self.answered += u64::from(ok);
        let story = self.story(&attempt.key);
        let told = if attempt.outcome == "failed" { Told::Failed } else { Told::Unknown };
        story.asked(told, attempt.amount_cents);
        if ok && within {
            story.indeterminate = true;
        } else if ok {
            story.acknowledged(&attempt.receipt, attempt.sent_ns, attempt.done_ns);
        }
    }

    fn look(&mut self, attempt: &Attempt) {
        match (attempt.outcome.as_str(), attempt.status) {
            ("ok", _) if !attempt.receipt.is_empty() => {
                let story = self.story(&attempt.about);
                story.shown(&attempt.receipt, attempt.sent_ns, attempt.done_ns);
            }
            (_, 404 | 410) => self.story(&attempt.about).absent(attempt.sent_ns),
            _ => {}
        }
    }

    /// One order of the ledger.
    pub fn order(&mut self, row: &OrderRow) {
        if row.status == "paid" {
            self.paid_cents += row.total_cents;
        }
        let fingerprint = self.fingerprint.hash_one(row);
        self.story(&row.key).order(row, fingerprint);
    }

    /// All orders as another replica tells them.
    ///
    /// # Errors
    /// The first error of the rows.
    pub fn replica<E>(&mut self, rows: impl Iterator<Item = Result<OrderRow, E>>) -> Result<(), E> {
        for row in rows {
            self.replica_row(&row?);
        }
        self.end_replica();
        Ok(())
    }

    fn replica_row(&mut self, row: &OrderRow) {
        let fingerprint = self.fingerprint.hash_one(row);
        self.story(&row.key).replica(row, fingerprint);
    }

    fn end_replica(&mut self) {
        self.stories.values_mut().for_each(Story::end_replica);
    }

    /// One line of the provider's journal.
    pub fn charge(&mut self, row: &ChargeRow) {
        self.journal.add(row);
        if row.event == crate::ledger::UNREADABLE {
            return;
        }
        if row.event == "captured" {
            self.captured_cents += row.amount_cents;
        }
        self.story(&row.key).charge(row);
    }

    /// One dead letter.
    pub fn dead(&mut self, row: &DeadRow) {
        self.story(&row.key).dead();
    }

    /// Acknowledgements met in the history.
    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    /// The verdict. `waited` says whether pending orders had all the time that the scenario grants
    /// them; `doubts` are reasons not to believe that the record is whole.
    #[must_use]
    pub fn judge(self, waited: bool, mut doubts: Vec<String>) -> Verdict {
        let counts = self.counts();
        let found = self.found(waited);
        let unfounded = self.stories.values().filter(|story| story.repeats_nothing()).count();
        doubts.extend(self.journal.doubts(unfounded as u64));
        if counts.acknowledged == 0 {
            doubts.push("nothing was acknowledged: there is nothing to judge".to_owned());
        }
        if !waited && counts.pending > 0 {
            let text = "orders were still pending and were not waited for";
            doubts.push(format!("{} {text}", counts.pending));
        }
        let answer = |kind| {
            let bad = Class::all().any(|c| c.kind() == kind && !found[c as usize].is_empty());
            match (bad, doubts.is_empty()) {
                (true, _) => Answer::False,
                (false, true) => Answer::True,
                (false, false) => Answer::Unknown,
            }
        };
        let (safety, liveness) = (answer(Kind::Safety), answer(Kind::Liveness));
        let of = |oddity: bool| {
            let wanted = Class::all().filter(|class| (class.kind() == Kind::Oddity) == oddity);
            wanted.map(|class| finding(class, &found[class as usize])).collect()
        };
        Verdict {
            verdict: safety.max(liveness),
            safety,
            liveness,
            violations: of(false),
            oddities: of(true),
            reasons: doubts,
            counts,
            recovery: None,
        }
    }

    /// The keys of each class.
    fn found(&self, waited: bool) -> Vec<Vec<&str>> {
        let mut found: Vec<Vec<&str>> = vec![Vec::new(); Class::COUNT];
        for (key, story) in &self.stories {
            story.judge(waited, |class| found[class as usize].push(key));
        }
        found
    }

    fn counts(&self) -> AuditCounts {
        let mut counts = AuditCounts {
            captured_cents: self.captured_cents,
            paid_cents: self.paid_cents,
            ..AuditCounts::default()
        };
        for story in self.stories.values() {
            match story.told {
                Told::Acknowledged => counts.acknowledged += 1,
                Told::Failed => counts.failed += 1,
                Told::Unknown => counts.unknown += 1,
                Told::Nothing => {}
            }
            let open = u64::from(story.orders.open);
            let (dead, pending) = if story.is_dead() { (open, 0) } else { (0, open) };
            counts.asked += u64::from(story.told != Told::Nothing);
            counts.orders += u64::from(story.orders.total());
            counts.paid += u64::from(story.orders.paid);
            counts.declined += u64::from(story.orders.declined);
            counts.pending += pending;
            counts.dead += dead;
            counts.captures += u64::from(story.captures);
        }
        counts
    }
}

/// Judges what is in memory: attempts without power cuts, a ledger, and the keys that were placed and
/// acknowledged beforehand.
#[must_use]
pub fn judge(attempts: &[Attempt], ledger: &Ledger, prepared: &[String], waited: bool) -> Verdict {
    let mut audit = Audit::default();
    prepared.iter().for_each(|key| audit.prepared(key));
    attempts.iter().for_each(|row| audit.attempt(row));
    ledger.orders.iter().for_each(|row| audit.order(row));
    for rows in &ledger.replicas {
        rows.iter().for_each(|row| audit.replica_row(row));
        audit.end_replica();
    }
    ledger.charges.iter().for_each(|row| audit.charge(row));
    ledger.dead.iter().for_each(|row| audit.dead(row));
    audit.judge(waited, Vec::new())
}

fn finding(class: Class, keys: &[&str]) -> Finding {
    let mut examples = keys.to_vec();
    // Only the first are shown: the rest need no order.
    if examples.len() > EXAMPLES {
        examples.select_nth_unstable(EXAMPLES);
        examples.truncate(EXAMPLES);
    }
    examples.sort_unstable();
    Finding {
        class: class.name().to_owned(),
        meaning: class.meaning().to_owned(),
        count: keys.len() as u64,
        examples: examples.into_iter().map(ToOwned::to_owned).collect(),
    }
}

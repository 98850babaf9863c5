//! Takes the facts of a record, one at a time, and gives the verdict. What it keeps grows with the
//! number of keys, not of attempts: about 300 bytes each.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};

use super::clock::Clock;
use super::journal::Journal;
use super::operations;
use super::rules::Terms;
use super::stock::Shelves;
use super::story::{Heard, Story, Told};
use super::work::Work;
use record::ledger::{ChargeRow, DeadRow, Ledger, OrderRow, ReservationRow, ShelfRow};
use record::reads::{How, ReadRow};
use record::{
    Answer, Attempt, AuditCounts, Class, Doubt, FaultRow, Finding, Kind, Outcome, Receipt, Verdict,
};

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
    /// The windows of a record's faults. A cut that nobody saw in effect, or healed, excuses nothing.
    #[must_use]
    pub fn of(faults: &[FaultRow]) -> Vec<Self> {
        let seen = faults.iter().filter(|fault| fault.voids_answers());
        let seen = seen.filter(|fault| fault.effective_s.is_some());
        seen.filter_map(|fault| Some(Self { from_s: fault.commanded_s, to_s: fault.healed_s? }))
            .collect()
    }

    fn holds(&self, ns: u64) -> bool {
        let at_s = ns as f64 / NS_PER_S;
        self.from_s <= at_s && at_s <= self.to_s
    }
}

/// What must be known beside the facts.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Times in which answers prove nothing.
    pub windows: Vec<Window>,
    /// How instants are compared.
    pub clock: Clock,
    /// Until when the customers' tokens were good, ns since second 0; `None`: not known.
    pub tokens_until_ns: Option<u64>,
    /// How many lines the network says that its journal has; `None`: not known.
    pub network_lines: Option<u64>,
    /// Whether pending orders had all the time that the scenario grants them.
    pub waited: bool,
    /// Whether every order asked for a notification.
    pub notified: bool,
    /// Whether an inventory told what it holds.
    pub stocked: bool,
    /// Reasons not to believe that the record is whole.
    pub doubts: Vec<Doubt>,
}

/// An audit that is being fed. First what the preparation and the customers did, then what the
/// ledger says.
#[derive(Debug, Default)]
pub struct Audit {
    setting: Setting,
    stories: HashMap<Box<str>, Story>,
    journal: Journal,
    shelves: Shelves,
    /// Customers whose list was read to its end.
    listed: HashSet<u32>,
    /// Reads after the drain that were not answered.
    unread: u64,
    captured_cents: i64,
    paid_cents: i64,
    fingerprint: RandomState,
}

impl Audit {
    /// An audit of a trial of which this is known.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Self { setting, ..Self::default() }
    }

    fn story(&mut self, key: &str) -> &mut Story {
        self.stories.entry(key.into()).or_default()
    }

    fn hash(&self, value: &(impl Hash + ?Sized)) -> u64 {
        self.fingerprint.hash_one(value)
    }

    /// An order that was placed and acknowledged before second 0, by this customer.
    pub fn prepared(&mut self, key: &str, customer: u32) {
        self.story(key).prepared(customer);
    }

    /// One attempt of the history.
    pub fn attempt(&mut self, attempt: &Attempt) {
        if attempt.outcome == Outcome::Dropped {
            return;
        }
        let heard = self.heard(attempt);
        if let Some((key, tell)) = operations::told(attempt, &heard) {
            tell(self.story(key), attempt, &heard);
        }
    }

    fn heard(&self, attempt: &Attempt) -> Heard {
        let Setting { windows, tokens_until_ns, .. } = &self.setting;
        let names_one = !attempt.order.is_empty();
        Heard {
            proves: !windows.iter().any(|window| window.holds(attempt.done_ns)),
            id: names_one.then(|| self.hash(attempt.order.as_str())),
            tokens_until_ns: *tokens_until_ns,
        }
    }

    /// One attempt to place an order that the scenario poisons on purpose.
    pub fn poisoned(&mut self, attempt: &Attempt) {
        self.attempt(attempt);
        self.story(&attempt.key).poisoned = true;
    }

    /// One order of the ledger.
    pub fn order(&mut self, row: &OrderRow) {
        if row.state() == Receipt::Paid {
            self.paid_cents = self.paid_cents.saturating_add(row.total_cents);
        }
        let (fingerprint, id) = (self.hash(row), self.hash(row.id.as_str()));
        let reference = self.hash(&row.charge_id);
        self.story(&row.key).order(row, fingerprint, id, reference);
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
        let fingerprint = self.hash(row);
        self.story(&row.key).replica(row, fingerprint);
    }

    fn end_replica(&mut self) {
        self.stories.values_mut().for_each(Story::end_replica);
    }

    /// One line of the provider's journal, in its order.
    pub fn charge(&mut self, row: &ChargeRow) {
        if !self.journal.add(row) {
            return;
        }
        if row.event == "captured" {
            self.captured_cents = self.captured_cents.saturating_add(row.amount_cents);
        }
        let reference = self.hash(&row.charge_id);
        self.story(&row.key).charge(row, reference);
    }

    /// One dead letter.
    pub fn dead(&mut self, row: &DeadRow) {
        self.story(&row.key).dead();
    }

    /// What an inventory says of one article.
    pub fn shelf(&mut self, row: &ShelfRow) {
        self.shelves.shelf(row);
    }

    /// What it holds or held of one article for one order.
    pub fn reservation(&mut self, row: &ReservationRow) {
        self.shelves.reservation(row);
        self.story(&row.key).reservation(row);
    }

    /// What a customer read after the drain; the ledger must be known by then.
    pub fn read(&mut self, row: &ReadRow) {
        match (row.how, row.status) {
            (How::End, _) => drop(self.listed.insert(row.customer)),
            (_, 200) => self.read_order(row),
            (How::Get, 401 | 403 | 404 | 410) => self.story(&row.about).misread = true,
            _ => self.unread += 1,
        }
    }

    fn read_order(&mut self, row: &ReadRow) {
        let order = row.order();
        let fingerprint = self.hash(&order);
        let asked = if row.how == How::Get { &row.about } else { &order.key };
        let story = self.story(asked);
        story.listed += u32::from(row.how == How::List);
        let foreign = story.customer != Some(row.customer);
        // Of several orders of one key, or one that may still change, something else is said.
        let comparable = story.orders.total() <= 1 && story.orders.open == 0;
        story.misread |= foreign || (comparable && story.listing != fingerprint);
    }

    /// When orders were in work; the ledger must be known by then.
    pub(super) fn work(&self) -> Work {
        let stories = self.stories.values().filter(|story| !story.prepared && !story.poisoned);
        Work::of(stories, self.setting.clock)
    }

    /// The verdict.
    #[must_use]
    pub fn judge(mut self) -> Verdict {
        self.end_lists();
        let counts = self.counts();
        let doubts = self.doubts(&counts);
        let found = self.found();
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
            ..Verdict::default()
        }
    }

    /// A list that was read to its end shows every order of its customer.
    fn end_lists(&mut self) {
        let listed = &self.listed;
        for story in self.stories.values_mut() {
            let is_listed = story.customer.is_some_and(|customer| listed.contains(&customer));
            story.misread |= is_listed && story.listed != story.orders.total();
        }
    }

    fn doubts(&self, counts: &AuditCounts) -> Vec<Doubt> {
        let Setting { network_lines, waited, .. } = self.setting;
        let mut doubts = self.setting.doubts.clone();
        let unfounded = self.stories.values().filter(|story| story.repeats_nothing()).count();
        doubts.extend(self.journal.doubts(network_lines, unfounded as u64));
        if counts.n() == 0 {
            doubts.push(Doubt::NothingToJudge { asked: counts.asked - self.asked_before() });
        }
        if !waited && counts.pending > 0 {
            doubts.push(Doubt::NotWaitedFor { orders: counts.pending });
        }
        let missing = self.stories.values().filter(|story| story.lacks_its_notice()).count();
        if self.setting.notified && !waited && missing > 0 {
            doubts.push(Doubt::NotNotifiedYet { orders: missing as u64 });
        }
        let held = self.stories.values().filter(|story| story.leaves_stock()).count();
        if self.setting.stocked && !waited && held > 0 {
            doubts.push(Doubt::StockNotYet { orders: held as u64 });
        }
        if self.unread > 0 {
            doubts.push(Doubt::Unread { reads: self.unread });
        }
        doubts
    }

    fn asked_before(&self) -> u64 {
        self.stories.values().filter(|story| story.prepared).count() as u64
    }

    /// The keys of each class.
    fn found(&self) -> Vec<Vec<&str>> {
        let terms = Terms {
            waited: self.setting.waited,
            whole: self.journal.is_whole(self.setting.network_lines),
            notified: self.setting.notified,
            stocked: self.setting.stocked,
            clock: self.setting.clock,
        };
        let mut found: Vec<Vec<&str>> = vec![Vec::new(); Class::COUNT];
        for (key, story) in &self.stories {
            story.judge(terms, |class| found[class as usize].push(key));
        }
        if self.setting.stocked {
            found[Class::StockLeak as usize].extend(self.shelves.leaks());
        }
        found
    }

    fn counts(&self) -> AuditCounts {
        let mut counts = AuditCounts {
            captured_cents: self.captured_cents,
            paid_cents: self.paid_cents,
            acknowledged_of_load: Some(0),
            ..AuditCounts::default()
        };
        for story in self.stories.values() {
            add(&mut counts, story);
        }
        counts
    }
}

fn add(counts: &mut AuditCounts, story: &Story) {
    match story.told {
        Told::Acknowledged => counts.acknowledged += 1,
        Told::Failed => counts.failed += 1,
        Told::Unknown => counts.unknown += 1,
        Told::Nothing => {}
    }
    let of_load = story.told == Told::Acknowledged && !story.prepared && !story.poisoned;
    counts.acknowledged_of_load.iter_mut().for_each(|n| *n += u64::from(of_load));
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

/// Judges what is in memory: attempts without power cuts, a ledger, and the keys that were placed and
/// acknowledged beforehand. Nothing is known of when second 0 was.
#[must_use]
pub fn judge(attempts: &[Attempt], ledger: &Ledger, prepared: &[String], waited: bool) -> Verdict {
    let mut audit = Audit::new(Setting { waited, ..Setting::default() });
    (0..).zip(prepared).for_each(|(customer, key)| audit.prepared(key, customer));
    attempts.iter().for_each(|row| audit.attempt(row));
    ledger.orders.iter().for_each(|row| audit.order(row));
    for rows in &ledger.replicas {
        rows.iter().for_each(|row| audit.replica_row(row));
        audit.end_replica();
    }
    ledger.charges.iter().for_each(|row| audit.charge(row));
    ledger.dead.iter().for_each(|row| audit.dead(row));
    audit.judge()
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

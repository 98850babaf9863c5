//! Everything known of one key, in a few words of memory, and the classes that it falls into.
//!
//! It knows sums and extremes instead of lists, so that millions fit; the order in which facts of one
//! sort arrive makes no difference.

use super::Class;
use crate::ledger::{ChargeRow, OrderRow};

/// What the customer was told of one key; of several attempts the strongest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    /// Never asked.
    #[default]
    Nothing,
    /// Every attempt certainly failed.
    Failed,
    /// May have had an effect.
    Unknown,
    /// Acknowledged.
    Acknowledged,
}

/// How often each state was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct States {
    pub(super) paid: u32,
    pub(super) declined: u32,
    /// Any other: not final.
    pub(super) open: u32,
}

impl States {
    pub(super) fn add(&mut self, status: &str) {
        match status {
            "paid" => self.paid += 1,
            "declined" => self.declined += 1,
            _ => self.open += 1,
        }
    }

    pub(super) fn total(self) -> u32 {
        self.paid + self.declined + self.open
    }

    /// Whether a final state was told that not all of these are in.
    fn contradict(self, told: Self) -> bool {
        (told.paid > 0 && self.declined + self.open > 0)
            || (told.declined > 0 && self.paid + self.open > 0)
    }
}

/// The story of one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Story {
    pub(super) told: Told,
    pub(super) indeterminate: bool,
    /// The scenario made it one that cannot be charged.
    pub(super) poisoned: bool,
    /// None for orders of the preparation, whose sums are not in the history.
    amount_cents: Option<i64>,
    amounts_differ: bool,
    /// What acknowledgements said.
    receipts: States,
    /// What customers saw when they looked.
    seen: States,
    /// When a customer first knew that it exists, and that it is final; `u64::MAX` for never.
    known_ns: u64,
    final_ns: u64,
    /// When a customer last began to ask and was told "pending", and "not found".
    pending_ns: u64,
    absent_ns: u64,
    pub(super) orders: States,
    pub(super) captures: u32,
    repeated: bool,
    declined: bool,
    dead: bool,
    /// Sums of fingerprints of its rows: in the first listing, in the replica that is being read.
    listing: u64,
    replica: u64,
    replica_open: bool,
    diverged: bool,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            told: Told::Nothing,
            indeterminate: false,
            poisoned: false,
            amount_cents: None,
            amounts_differ: false,
            receipts: States::default(),
            seen: States::default(),
            known_ns: u64::MAX,
            final_ns: u64::MAX,
            pending_ns: 0,
            absent_ns: 0,
            orders: States::default(),
            captures: 0,
            repeated: false,
            declined: false,
            dead: false,
            listing: 0,
            replica: 0,
            replica_open: false,
            diverged: false,
        }
    }
}

impl Story {
    pub(super) fn asked(&mut self, told: Told, amount_cents: i64) {
        self.told = self.told.max(told);
        self.amount_cents = Some(amount_cents);
    }

    /// An acknowledgement; `receipt` is what it said of the state.
    pub(super) fn acknowledged(&mut self, receipt: &str, sent_ns: u64, done_ns: u64) {
        self.told = Told::Acknowledged;
        self.receipts.add(receipt);
        self.observed(receipt, sent_ns, done_ns);
    }

    /// The customer looked, and it was there.
    pub(super) fn shown(&mut self, status: &str, sent_ns: u64, done_ns: u64) {
        self.seen.add(status);
        self.observed(status, sent_ns, done_ns);
    }

    /// The customer looked, and it was not there.
    pub(super) fn absent(&mut self, sent_ns: u64) {
        self.absent_ns = self.absent_ns.max(sent_ns);
    }

    fn observed(&mut self, status: &str, sent_ns: u64, done_ns: u64) {
        self.known_ns = self.known_ns.min(done_ns);
        match status {
            "paid" | "declined" => self.final_ns = self.final_ns.min(done_ns),
            _ => self.pending_ns = self.pending_ns.max(sent_ns),
        }
    }

    pub(super) fn order(&mut self, row: &OrderRow, fingerprint: u64) {
        self.orders.add(&row.status);
        self.amount(row.total_cents);
        self.listing = self.listing.wrapping_add(fingerprint);
    }

    pub(super) fn replica(&mut self, row: &OrderRow, fingerprint: u64) {
        self.replica_open |= !matches!(row.status.as_str(), "paid" | "declined");
        self.replica = self.replica.wrapping_add(fingerprint);
    }

    /// All rows of a replica have been told.
    pub(super) fn end_replica(&mut self) {
        self.diverged |= self.replica != self.listing;
        self.replica = 0;
    }

    pub(super) fn charge(&mut self, row: &ChargeRow) {
        match row.event.as_str() {
            "captured" => {
                self.captures += 1;
                self.amount(row.amount_cents);
            }
            "declined" => self.declined = true,
            "repeated" => self.repeated = true,
            _ => {}
        }
    }

    pub(super) fn dead(&mut self) {
        self.dead = true;
    }

    /// The first sum that is known is the one that was asked for.
    fn amount(&mut self, cents: i64) {
        self.amounts_differ |= *self.amount_cents.get_or_insert(cents) != cents;
    }

    /// Whether its message is given up and it is not final.
    pub(super) fn is_dead(&self) -> bool {
        self.dead && (self.orders.open > 0 || self.orders.total() == 0)
    }

    /// Whether the journal repeats a decision that it does not hold.
    pub(super) fn repeats_nothing(&self) -> bool {
        self.repeated && self.captures == 0 && !self.declined
    }

    /// Names every class that it falls into. `waited`: pending orders had all the time that the
    /// scenario grants; if not, they are a doubt and no violation.
    pub(super) fn judge(&self, waited: bool, mut found: impl FnMut(Class)) {
        let (orders, told) = (self.orders, self.told);
        let happened = orders.total() > 0 || self.captures > 0 || self.dead;
        let known = told == Told::Acknowledged || self.seen.total() > 0;
        let is_final = orders.paid + orders.declined > 0;
        // Nothing that is still to come would change it.
        let over = waited || orders.open == 0 || self.dead;
        let mut when = |condition: bool, class| {
            if condition {
                found(class);
            }
        };
        when(known && orders.total() == 0, Class::Lost);
        when(orders.total() > 1, Class::Duplicated);
        when(self.captures > 1, Class::DoubleCharge);
        when(self.captures > 0 && orders.paid == 0 && over, Class::OrphanCharge);
        when(orders.paid > 0 && self.captures == 0, Class::PaidWithoutCharge);
        when(told == Told::Nothing && happened, Class::Phantom);
        when(told == Told::Failed && happened, Class::FailedButHappened);
        when(self.amounts_differ, Class::WrongAmount);
        when(orders.contradict(self.receipts), Class::ReceiptMismatch);
        when(self.went_back() || orders.contradict(self.seen), Class::IllegalTransition);
        when(self.absent_ns > self.known_ns, Class::Disappeared);
        let replicas_open = orders.open > 0 || self.replica_open;
        when(self.diverged && (waited || !replicas_open), Class::Diverged);
        let (stuck, given_up) = (orders.open > 0 && waited && !self.dead, self.is_dead());
        // Only that it has no final state is expected of it, and only without a capture.
        let excused = self.poisoned && self.captures == 0;
        when(stuck && !excused, Class::Stuck);
        when(given_up && !excused, Class::DeadLettered);
        when(told == Told::Unknown && is_final, Class::Recovered);
        when(told == Told::Unknown && !happened && !known, Class::Vanished);
        when(self.repeated, Class::Repeated);
        when(self.indeterminate, Class::Indeterminate);
        when(self.dead && !self.is_dead(), Class::DeadButDone);
        when(excused && (stuck || given_up), Class::Poisoned);
    }

    /// Two final states, or "pending" to a question that began after the final state was known.
    fn went_back(&self) -> bool {
        let paid = self.receipts.paid + self.seen.paid;
        let declined = self.receipts.declined + self.seen.declined;
        (paid > 0 && declined > 0) || self.pending_ns > self.final_ns
    }
}

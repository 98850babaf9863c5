//! Everything known of one key, in a few words of memory. What follows from it is in `rules.rs`.
//!
//! It knows sums and extremes instead of lists, so that millions fit; the order in which facts of one
//! sort arrive makes no difference, but that the journal's lines come as they were written.

use super::clock::NEVER;
use super::few::Few;
use record::ledger::{ChargeRow, OrderRow, ReservationRow};
use record::{Attempt, Outcome, Receipt};

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

/// How an answer was heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// Whether it holds: the power was not being cut.
    pub(super) proves: bool,
    /// Stands for the id of the order that it told of, if it told of one.
    pub(super) id: Option<u64>,
    /// Until when the customer's token was good, ns; `None`: not known.
    pub(super) tokens_until_ns: Option<u64>,
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
    pub(super) fn add(&mut self, state: Receipt) {
        match state {
            Receipt::Paid => self.paid += 1,
            Receipt::Declined => self.declined += 1,
            Receipt::Pending | Receipt::None => self.open += 1,
        }
    }

    pub(super) fn total(self) -> u32 {
        self.paid + self.declined + self.open
    }

    /// Whether a final state was told that not all of these are in.
    pub(super) fn contradict(self, told: Self) -> bool {
        (told.paid > 0 && self.declined + self.open > 0)
            || (told.declined > 0 && self.paid + self.open > 0)
    }
}

/// Sums that must all be the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) cents: Option<i64>,
    pub(super) differ: bool,
}

impl Sums {
    fn add(&mut self, cents: i64) {
        self.differ |= *self.cents.get_or_insert(cents) != cents;
    }
}

/// The earliest instant of each final state; `T::MAX` for never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finals<T> {
    pub(super) paid: T,
    pub(super) declined: T,
}

impl<T: Ord + Copy> Finals<T> {
    fn add(&mut self, state: Receipt, at: T) {
        match state {
            Receipt::Paid => self.paid = self.paid.min(at),
            Receipt::Declined => self.declined = self.declined.min(at),
            Receipt::Pending | Receipt::None => {}
        }
    }

    pub(super) fn first(self) -> T {
        self.paid.min(self.declined)
    }
}

/// The story of one key.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) told: Told,
    pub(super) indeterminate: bool,
    /// An attempt was answered, with an error.
    pub(super) told_error: bool,
    /// The scenario made it one that cannot be charged.
    pub(super) poisoned: bool,
    /// Placed before second 0, when nobody wrote a history.
    pub(super) prepared: bool,
    /// Who asked for it.
    pub(super) customer: Option<u32>,
    /// What was asked for, by the attempts whose answers are strongest; none of the preparation.
    asked_by: Told,
    pub(super) asked: Sums,
    /// What orders, captures and answers say instead.
    pub(super) met: Sums,
    /// What acknowledgements said.
    pub(super) receipts: States,
    /// What customers saw when they looked.
    pub(super) seen: States,
    /// When it was first asked for, and when the last of these attempts was over, ns.
    pub(super) asked_ns: u64,
    pub(super) answered_ns: u64,
    /// When a customer first knew that it exists, and that it is final, ns.
    pub(super) known_ns: u64,
    pub(super) final_ns: Finals<u64>,
    /// When a customer last began to ask and was told "pending", and "not found", ns.
    pub(super) pending_ns: u64,
    pub(super) absent_ns: u64,
    /// A look-up was refused; an answer was about another order.
    pub(super) refused: bool,
    pub(super) other_order: bool,
    /// Ids that answers named, and those that the orders have.
    pub(super) told_ids: Few,
    pub(super) ids: Few,
    pub(super) orders: States,
    /// The latest that one was accepted, and the earliest that one was settled in each state, µs.
    pub(super) created_us: i64,
    pub(super) settled_us: Finals<i64>,
    /// The latest that any was settled; `None` while one is not.
    pub(super) over_us: Option<i64>,
    /// Final without an instant, or with one and not final.
    pub(super) untimed: bool,
    /// Charge ids of paid orders, and of captures.
    pub(super) references: Few,
    pub(super) charge_ids: Few,
    pub(super) captures: u32,
    /// The network's first decision for each state, and its first line, µs.
    pub(super) decided_us: Finals<i64>,
    pub(super) line_us: i64,
    pub(super) charged_after_decline: bool,
    /// The network was told in time not to capture it; its customer asked for that.
    pub(super) voided: bool,
    pub(super) taken_back: bool,
    /// What its customer was notified of, and the first instant of each, µs.
    pub(super) notified: States,
    pub(super) notified_us: Finals<i64>,
    /// Articles that the inventory holds, sold and released for it, and of those it could not hold.
    pub(super) reserved: [u32; 4],
    pub(super) repeated: bool,
    pub(super) dead: bool,
    /// Sums of fingerprints of its rows: in the first listing, in the replica that is being read.
    pub(super) listing: u64,
    replica: u64,
    pub(super) replica_open: bool,
    pub(super) diverged: bool,
    /// What its customer read after the drain: rows in his list, and whether any was wrong.
    pub(super) listed: u32,
    pub(super) misread: bool,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            told: Told::Nothing,
            indeterminate: false,
            told_error: false,
            poisoned: false,
            prepared: false,
            customer: None,
            asked_by: Told::Nothing,
            asked: Sums::default(),
            met: Sums::default(),
            receipts: States::default(),
            seen: States::default(),
            asked_ns: NEVER,
            answered_ns: 0,
            known_ns: NEVER,
            final_ns: Finals { paid: NEVER, declined: NEVER },
            pending_ns: 0,
            absent_ns: 0,
            refused: false,
            other_order: false,
            told_ids: Few::default(),
            ids: Few::default(),
            orders: States::default(),
            created_us: i64::MIN,
            settled_us: Finals { paid: i64::MAX, declined: i64::MAX },
            over_us: Some(i64::MIN),
            untimed: false,
            references: Few::default(),
            charge_ids: Few::default(),
            captures: 0,
            decided_us: Finals { paid: i64::MAX, declined: i64::MAX },
            line_us: i64::MAX,
            charged_after_decline: false,
            voided: false,
            taken_back: false,
            notified: States::default(),
            notified_us: Finals { paid: i64::MAX, declined: i64::MAX },
            reserved: [0; 4],
            repeated: false,
            dead: false,
            listing: 0,
            replica: 0,
            replica_open: false,
            diverged: false,
            listed: 0,
            misread: false,
        }
    }
}

impl Story {
    /// An attempt to place it, whatever came of it.
    pub(super) fn placed(&mut self, a: &Attempt, heard: &Heard) {
        let told = match a.outcome {
            Outcome::Failed => Told::Failed,
            Outcome::Ok if heard.proves => Told::Acknowledged,
            Outcome::Ok | Outcome::Unknown | Outcome::Unfinished => Told::Unknown,
            // What was never sent is no attempt of the order's.
            Outcome::Dropped => return,
        };
        self.told = self.told.max(told);
        self.customer = Some(a.customer);
        self.asked_ns = self.asked_ns.min(a.sent_ns);
        self.answered_ns = self.answered_ns.max(a.done_ns);
        self.told_error |= a.outcome == Outcome::Unknown && a.status >= 400;
        if self.asked_by < told {
            (self.asked_by, self.asked) = (told, Sums::default());
        }
        if self.asked_by == told {
            self.asked.add(a.amount_cents);
        }
        if told == Told::Acknowledged {
            self.receipts.add(a.receipt);
            self.observed(a, heard);
        }
    }

    /// It was placed and acknowledged before second 0, by this customer.
    pub(super) fn prepared(&mut self, customer: u32) {
        (self.told, self.prepared, self.customer) = (Told::Acknowledged, true, Some(customer));
        // Its sum is in no history; that of a weaker answer is not it.
        self.asked_by = Told::Acknowledged;
        self.receipts.add(Receipt::Pending);
        self.known_ns = 0;
    }

    /// The customer looked, and it was there.
    pub(super) fn shown(&mut self, a: &Attempt, heard: &Heard) {
        self.seen.add(a.receipt);
        self.observed(a, heard);
    }

    /// The customer looked, and it was not there.
    pub(super) fn absent(&mut self, sent_ns: u64) {
        self.absent_ns = self.absent_ns.max(sent_ns);
    }

    fn observed(&mut self, a: &Attempt, heard: &Heard) {
        self.known_ns = self.known_ns.min(a.done_ns);
        self.final_ns.add(a.receipt, a.done_ns);
        if !a.receipt.is_final() {
            self.pending_ns = self.pending_ns.max(a.sent_ns);
        }
        a.amount.into_iter().for_each(|cents| self.met.add(cents));
        heard.id.into_iter().for_each(|id| self.told_ids.insert(id));
    }

    /// A row of the ledger; `id` and `reference` stand for its id and its charge id.
    pub(super) fn order(&mut self, row: &OrderRow, fingerprint: u64, id: u64, reference: u64) {
        let state = row.state();
        self.orders.add(state);
        self.met.add(row.total_cents);
        self.listing = self.listing.wrapping_add(fingerprint);
        self.ids.insert(id);
        self.created_us = self.created_us.max(row.created_at);
        self.untimed |= state.is_final() != row.settled_at.is_some();
        self.over_us = self.over_us.zip(row.settled_at).map(|(over, at)| over.max(at));
        row.settled_at.into_iter().for_each(|at| self.settled_us.add(state, at));
        if state == Receipt::Paid {
            self.references.insert(reference);
        }
    }

    pub(super) fn replica(&mut self, row: &OrderRow, fingerprint: u64) {
        self.replica_open |= !row.is_final();
        self.replica = self.replica.wrapping_add(fingerprint);
    }

    /// All rows of a replica have been told.
    pub(super) fn end_replica(&mut self) {
        self.diverged |= self.replica != self.listing;
        self.replica = 0;
    }

    /// A line of the journal, in its order; `reference` stands for its charge id.
    pub(super) fn charge(&mut self, row: &ChargeRow, reference: u64) {
        self.line_us = self.line_us.min(row.at_us);
        match row.event.as_str() {
            "captured" => {
                self.charged_after_decline |= self.decided_us.declined != i64::MAX;
                self.decided_us.add(Receipt::Paid, row.at_us);
                self.captures += 1;
                self.met.add(row.amount_cents);
                self.charge_ids.insert(reference);
            }
            "declined" => self.decided_us.add(Receipt::Declined, row.at_us),
            "voided" => {
                self.decided_us.add(Receipt::Declined, row.at_us);
                self.voided = true;
            }
            "repeated" => self.repeated = true,
            "notified-paid" => self.notified(Receipt::Paid, row),
            "notified-declined" => self.notified(Receipt::Declined, row),
            _ => {}
        }
    }

    fn notified(&mut self, of: Receipt, row: &ChargeRow) {
        self.notified.add(of);
        self.notified_us.add(of, row.at_us);
        self.met.add(row.amount_cents);
    }

    /// A state that nobody knows is one that is not over.
    pub(super) fn reservation(&mut self, row: &ReservationRow) {
        let all = ["held", "sold", "released", "lacking"];
        let place = all.iter().position(|state| *state == row.state);
        self.reserved[place.unwrap_or(0)] += 1;
    }

    pub(super) fn dead(&mut self) {
        self.dead = true;
    }

    /// Whether its message is given up and it is not final.
    pub(super) fn is_dead(&self) -> bool {
        self.dead && (self.orders.open > 0 || self.orders.total() == 0)
    }

    /// Whether the journal repeats a decision that it does not hold.
    pub(super) fn repeats_nothing(&self) -> bool {
        self.repeated && self.captures == 0 && self.decided_us.declined == i64::MAX
    }
}

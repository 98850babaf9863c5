//! What follows from the story of one key: the classes that it falls into.

use super::clock::{Clock, NEVER};
use super::story::{Story, Told};
use record::Class;

/// Where a story counts what the inventory could not hold.
const LACKING: usize = 3;

/// What decides about every story alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Pending orders had all the time that the scenario grants; if not, they are a doubt and no
    /// violation.
    pub(super) waited: bool,
    /// The journal has all of its lines: what is not in it has not been.
    pub(super) whole: bool,
    /// Every order asked for a notification.
    pub(super) notified: bool,
    /// An inventory told what it holds.
    pub(super) stocked: bool,
    /// How instants are compared.
    pub(super) clock: Clock,
}

impl Story {
    /// Names every class that it falls into.
    pub(super) fn judge(&self, terms: Terms, mut found: impl FnMut(Class)) {
        let mut when = |condition: bool, class| {
            if condition {
                found(class);
            }
        };
        self.judge_order(terms, &mut when);
        self.judge_money(terms, &mut when);
        self.judge_answers(&mut when);
        self.judge_instants(terms.clock, &mut when);
        self.judge_end(terms, &mut when);
        self.judge_notices(terms, &mut when);
        self.judge_stock(terms, &mut when);
        self.judge_silence(&mut when);
    }

    /// Whether nothing that is still to come would change it.
    fn is_over(&self, terms: Terms) -> bool {
        terms.waited || self.orders.open == 0 || self.dead
    }

    fn happened(&self) -> bool {
        self.orders.total() > 0 || self.captures > 0 || self.dead
    }

    fn is_known(&self) -> bool {
        self.told == Told::Acknowledged || self.seen.total() > 0
    }

    fn judge_order(&self, terms: Terms, when: &mut impl FnMut(bool, Class)) {
        let orders = self.orders;
        let traced = self.happened() || self.line_us != i64::MAX || self.listed > 0;
        when(self.is_known() && orders.total() == 0, Class::Lost);
        when(orders.total() > 1, Class::Duplicated);
        when(self.told == Told::Nothing && traced, Class::Phantom);
        when(self.told == Told::Failed && self.happened(), Class::FailedButHappened);
        let replicas_open = orders.open > 0 || self.replica_open;
        when(self.diverged && (terms.waited || !replicas_open), Class::Diverged);
        when(self.untimed, Class::FinalUntimed);
        when(self.misread, Class::Misread);
    }

    fn judge_money(&self, terms: Terms, when: &mut impl FnMut(bool, Class)) {
        let (orders, captured) = (self.orders, self.captures > 0);
        let never_declined = self.decided_us.declined == i64::MAX;
        let declined = orders.declined + self.receipts.declined + self.seen.declined;
        when(self.captures > 1, Class::DoubleCharge);
        when(captured && orders.paid == 0 && self.is_over(terms), Class::OrphanCharge);
        when(orders.paid > 0 && !captured && terms.whole, Class::PaidWithoutCharge);
        let refused = terms.stocked && self.reserved[LACKING] > 0;
        let by_nobody = declined > 0 && never_declined && !refused;
        let unasked = self.voided && !self.taken_back;
        when((by_nobody && terms.whole) || unasked, Class::DecidedByNobody);
        when(self.charged_after_decline, Class::ChargedAfterDecline);
        let strange = captured && !self.references.within(&self.charge_ids);
        when(strange && terms.whole, Class::WrongReference);
        when(self.has_wrong_amount(), Class::WrongAmount);
    }

    /// Orders, captures and answers agree with each other and with what was asked for.
    fn has_wrong_amount(&self) -> bool {
        let Some(met) = self.met.cents else { return false };
        let asked = self.asked.cents.is_some_and(|asked| asked != met);
        self.met.differ || self.asked.differ || asked
    }

    fn judge_answers(&self, when: &mut impl FnMut(bool, Class)) {
        let orders = self.orders;
        when(orders.contradict(self.receipts), Class::ReceiptMismatch);
        when(self.went_back() || orders.contradict(self.seen), Class::IllegalTransition);
        when(self.absent_ns > self.known_ns, Class::Disappeared);
        let differ = self.told_ids.differ();
        let strange = !self.ids.is_empty() && !differ && !self.told_ids.within(&self.ids);
        when(self.other_order || strange, Class::OtherOrder);
        when(differ, Class::AnsweredDifferently);
        when(self.refused, Class::Refused);
    }

    /// Two final states, or "pending" to a question that began after the final state was known.
    fn went_back(&self) -> bool {
        let paid = self.receipts.paid + self.seen.paid;
        let declined = self.receipts.declined + self.seen.declined;
        (paid > 0 && declined > 0) || self.pending_ns > self.final_ns.first()
    }

    fn judge_instants(&self, clock: Clock, when: &mut impl FnMut(bool, Class)) {
        let told_early = |told_ns: u64, settled_us: i64, decided_us: i64| {
            let told_us = clock.wall_us(told_ns);
            let early = |at_us: i64| decided_us != i64::MAX && clock.before(at_us, decided_us);
            told_us.is_some_and(early) || early(settled_us)
        };
        let (told, settled, decided) = (self.final_ns, self.settled_us, self.decided_us);
        let early = told_early(told.paid, settled.paid, decided.paid)
            || told_early(told.declined, settled.declined, decided.declined);
        when(early, Class::ToldBeforeDecided);
        // Of the preparation nobody knows when it was asked for.
        let asked_us = clock.wall_us(if self.prepared { NEVER } else { self.asked_ns });
        let unasked = asked_us.is_some_and(|asked_us| clock.before(self.line_us, asked_us));
        when(unasked, Class::ChargedBeforeAsked);
        let known_us = clock.wall_us(self.known_ns);
        let late = known_us.is_some_and(|known_us| clock.before(known_us, self.created_us));
        when(late, Class::CreatedAfterTold);
    }

    fn judge_end(&self, terms: Terms, when: &mut impl FnMut(bool, Class)) {
        let stuck = self.orders.open > 0 && terms.waited && !self.dead;
        let given_up = self.is_dead();
        // Only that it has no final state is expected of it, and only without a capture.
        let excused = self.poisoned && self.captures == 0;
        when(stuck && !excused, Class::Stuck);
        when(given_up && !excused, Class::DeadLettered);
        when(excused && (stuck || given_up), Class::Poisoned);
        when(self.dead && !given_up, Class::DeadButDone);
        when(self.repeated, Class::Repeated);
        when(self.voided && self.captures == 0, Class::TakenBack);
        when(self.indeterminate, Class::Indeterminate);
    }

    /// Whether it is final, and its customer does not know it yet.
    pub(super) fn lacks_its_notice(&self) -> bool {
        self.orders.total() > 0 && self.orders.open == 0 && self.notified.total() == 0
    }

    /// Notified once at least, and never of what is not, or not yet.
    fn judge_notices(&self, terms: Terms, when: &mut impl FnMut(bool, Class)) {
        let (orders, notified) = (self.orders, self.notified);
        let asked = terms.notified && terms.waited && terms.whole;
        when(asked && self.lacks_its_notice(), Class::NotNotified);
        let falsely = |orders: u32, notified_us: i64, settled_us: i64| {
            let early = settled_us != i64::MAX && terms.clock.before(notified_us, settled_us);
            notified_us != i64::MAX && (orders == 0 || early)
        };
        let (told, settled) = (self.notified_us, self.settled_us);
        let paid = falsely(orders.paid, told.paid, settled.paid);
        let declined = falsely(orders.declined, told.declined, settled.declined);
        when(paid || declined, Class::NotifiedFalsely);
        when(notified.total() > 1, Class::NotifiedAgain);
    }

    /// Whether it is final, and its stock is not.
    pub(super) fn leaves_stock(&self) -> bool {
        let [held, sold, released, lacking] = self.reserved;
        let is_final = self.orders.total() > 0 && self.orders.open == 0;
        is_final && (held > 0 || sold + released + lacking == 0)
    }

    fn judge_stock(&self, terms: Terms, when: &mut impl FnMut(bool, Class)) {
        let [held, sold, released, lacking] = self.reserved;
        let had = held + sold + released;
        let nobodys = self.orders.total() == 0 && had + lacking > 0;
        let astray = (sold > 0 && self.orders.paid == 0)
            || (released > 0 && self.orders.declined == 0)
            || (lacking > 0 && (self.orders.paid > 0 || had > 0))
            || nobodys;
        when(terms.stocked && astray, Class::StockAstray);
        let left = terms.stocked && terms.waited && self.leaves_stock();
        when(left, Class::StockLeft);
    }

    /// What became of orders whose customers do not know.
    fn judge_silence(&self, when: &mut impl FnMut(bool, Class)) {
        let (unknown, error) = (self.told == Told::Unknown, self.told_error);
        let is_final = self.orders.paid + self.orders.declined > 0;
        let charged = self.captures > 0;
        when(unknown && error && charged, Class::ToldErrorThenCharged);
        let declined = self.orders.declined > 0 && !charged;
        when(unknown && error && declined, Class::ToldErrorThenDeclined);
        when(unknown && !error && is_final, Class::Recovered);
        when(unknown && !self.happened() && !self.is_known(), Class::Vanished);
    }
}

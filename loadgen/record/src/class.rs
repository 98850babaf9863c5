//! The classes that a story can fall into, in the order of the table.

/// What a class says of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something wrong has happened.
    Safety,
    /// Something good has not happened.
    Liveness,
    /// Legal, and worth counting.
    Oddity,
}

/// A class of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table below says what each means")]
pub enum Class {
    Lost,
    Duplicated,
    DoubleCharge,
    OrphanCharge,
    PaidWithoutCharge,
    DecidedByNobody,
    ChargedAfterDecline,
    ChargedBeforeAsked,
    WrongReference,
    Phantom,
    FailedButHappened,
    WrongAmount,
    ReceiptMismatch,
    ToldBeforeDecided,
    CreatedAfterTold,
    FinalUntimed,
    OtherOrder,
    AnsweredDifferently,
    IllegalTransition,
    Disappeared,
    Refused,
    Misread,
    Diverged,
    NotifiedFalsely,
    StockAstray,
    StockLeak,
    Stuck,
    DeadLettered,
    NotNotified,
    StockLeft,
    ToldErrorThenCharged,
    ToldErrorThenDeclined,
    Recovered,
    Vanished,
    Repeated,
    Indeterminate,
    DeadButDone,
    Poisoned,
    NotifiedAgain,
    TakenBack,
}

type Row = (Class, Kind, &'static str, &'static str);

/// Every class once, in the order of [`Class`].
const TABLE: [Row; 40] = {
    use Class as C;
    use Kind::{Liveness, Oddity, Safety};
    [
        (C::Lost, Safety, "lost", "acknowledged or shown, but there is no order"),
        (C::Duplicated, Safety, "duplicated", "more than one order for one key"),
        (C::DoubleCharge, Safety, "double-charge", "captured more than once for one key"),
        (C::OrphanCharge, Safety, "orphan-charge", "captured, but the order is not paid"),
        (C::PaidWithoutCharge, Safety, "paid-without-charge", "paid, but nothing was captured"),
        (
            C::DecidedByNobody,
            Safety,
            "decided-by-nobody",
            "declined, but neither the network nor the inventory ever declined it, nor its customer",
        ),
        (
            C::ChargedAfterDecline,
            Safety,
            "charged-after-decline",
            "captured after the network had declined it",
        ),
        (
            C::ChargedBeforeAsked,
            Safety,
            "charged-before-asked",
            "at the network before its customer had asked for it",
        ),
        (
            C::WrongReference,
            Safety,
            "wrong-reference",
            "paid under a charge id that is none of its captures'",
        ),
        (C::Phantom, Safety, "phantom", "an order, a charge or a message that nobody asked for"),
        (
            C::FailedButHappened,
            Safety,
            "failed-but-happened",
            "the client was told that nothing happened, but it did",
        ),
        (
            C::WrongAmount,
            Safety,
            "wrong-amount",
            "order, capture or answer differ from the sum that was asked for",
        ),
        (
            C::ReceiptMismatch,
            Safety,
            "receipt-mismatch",
            "the final state differs from the one that was acknowledged",
        ),
        (
            C::ToldBeforeDecided,
            Safety,
            "told-before-decided",
            "told or settled as final before the network had decided",
        ),
        (
            C::CreatedAfterTold,
            Safety,
            "created-after-told",
            "accepted, by its own account, after its customer knew of it",
        ),
        (
            C::FinalUntimed,
            Safety,
            "final-untimed",
            "final without the instant of settling, or settled and not final",
        ),
        (C::OtherOrder, Safety, "other-order", "an answer was about another order"),
        (
            C::AnsweredDifferently,
            Safety,
            "answered-differently",
            "the answers to one key tell of different orders",
        ),
        (
            C::IllegalTransition,
            Safety,
            "illegal-transition",
            "a customer saw a final state that changed or went back",
        ),
        (
            C::Disappeared,
            Safety,
            "disappeared",
            "not found, after its customer had been told of it",
        ),
        (C::Refused, Safety, "refused", "its own customer was not allowed to see it"),
        (
            C::Misread,
            Safety,
            "misread",
            "after the drain its customer reads something else than the ledger says",
        ),
        (C::Diverged, Safety, "diverged", "replicas tell it differently after the drain"),
        (
            C::NotifiedFalsely,
            Safety,
            "notified-falsely",
            "its customer was notified of a state that it has not, or not yet",
        ),
        (
            C::StockAstray,
            Safety,
            "stock-astray",
            "the inventory sold, released or refused what its order's state does not say, or holds it for nobody",
        ),
        (
            C::StockLeak,
            Safety,
            "stock-leak",
            "what the inventory says of an article is not what its reservations say together, or more than there was",
        ),
        (C::Stuck, Liveness, "stuck", "no final state after the drain"),
        (C::DeadLettered, Liveness, "dead-lettered", "no final state, and its message is given up"),
        (
            C::NotNotified,
            Liveness,
            "not-notified",
            "final, and its customer, who asked for it, was never notified",
        ),
        (
            C::StockLeft,
            Liveness,
            "stock-left",
            "final, and what it needs was never reserved, or is held still",
        ),
        (
            C::ToldErrorThenCharged,
            Oddity,
            "told-error-then-charged",
            "the client was told an error, and the card was charged",
        ),
        (
            C::ToldErrorThenDeclined,
            Oddity,
            "told-error-then-declined",
            "the client was told an error, and the order was taken up and declined",
        ),
        (
            C::Recovered,
            Oddity,
            "recovered",
            "the client got no answer, but the order was taken up and finished",
        ),
        (
            C::Vanished,
            Oddity,
            "vanished",
            "the client got no answer, or an error, and nothing happened",
        ),
        (
            C::Repeated,
            Oddity,
            "repeated",
            "asked of the provider again; answered with the first result",
        ),
        (
            C::Indeterminate,
            Oddity,
            "indeterminate",
            "acknowledged while the power was being cut: counts as unknown",
        ),
        (C::DeadButDone, Oddity, "dead-but-done", "a message is given up, but the order is final"),
        (C::Poisoned, Oddity, "poisoned", "poisoned by the scenario, not charged and not final"),
        (C::NotifiedAgain, Oddity, "notified-again", "its customer was notified more than once"),
        (C::TakenBack, Oddity, "taken-back", "cancelled by its customer in time: never charged"),
    ]
};

impl Class {
    /// How many there are.
    pub const COUNT: usize = TABLE.len();

    /// All, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Its word in tables and thresholds.
    #[must_use]
    pub fn name(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        TABLE[self as usize].3
    }

    /// Whether it is a violation, and of what.
    #[must_use]
    pub fn kind(self) -> Kind {
        TABLE[self as usize].1
    }
}

/// The names of all classes.
pub fn classes() -> impl Iterator<Item = &'static str> {
    Class::all().map(Class::name)
}

/// The names of the classes that make a verdict false.
pub fn violations() -> impl Iterator<Item = &'static str> {
    Class::all().filter(|class| class.kind() != Kind::Oddity).map(Class::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_classes() {
        assert!(Class::all().enumerate().all(|(n, class)| class as usize == n));
        assert_eq!(classes().collect::<std::collections::BTreeSet<_>>().len(), Class::COUNT);
        assert_eq!(Class::Stuck.name(), "stuck");
        assert!(Class::Vanished.meaning().contains("nothing happened"));
        assert_eq!(Class::COUNT, 40);
        assert_eq!(violations().last(), Some("stock-left"));
        assert_eq!(violations().count(), 30);
    }
}

//! One request as it was measured.

use std::sync::Arc;

use super::{Known, Operation, Outcome, Receipt, Trouble};

/// What an answer said of an order beside its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The order's id.
    pub order: Arc<str>,
    /// Its sum, cents; `None` if it was not told as a whole number.
    pub amount_cents: Option<i64>,
}

/// One request: its instants in nanoseconds since the start of the schedule, and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its place in the schedule.
    pub seq: u64,
    /// What was asked.
    pub operation: Operation,
    /// By whom.
    pub customer: u32,
    /// The order's sum, cents.
    pub amount_cents: i64,
    /// When it should start.
    pub intended_ns: u64,
    /// When the generator began to send it.
    pub sent_ns: u64,
    /// When its answer was complete, or it was given up.
    pub done_ns: u64,
    /// How long it had waited for a connection, from `sent_ns` on.
    pub waited_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// The HTTP status; 0 without an answer.
    pub status: u16,
    /// Why there is no answer.
    pub trouble: Trouble,
    /// What the answer said of the order.
    pub receipt: Receipt,
    /// The order that was looked up.
    pub about: Option<Known>,
    /// The order that the answer told of.
    pub told: Option<Told>,
    /// 0 for the first attempt, n for the n-th retry of the same request.
    pub retry: u8,
    /// Whether another attempt of the same request was to follow.
    pub again: bool,
}

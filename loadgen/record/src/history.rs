//! `history.csv.zst`: one line per attempt, written while the load runs and read by everything after.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::packed_table::read_table;
use crate::{Operation, Outcome, Receipt, Trouble, files};

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its place in the schedule.
    pub seq: u64,
    /// The idempotency key (place), else empty.
    pub key: String,
    /// What was asked.
    pub operation: Operation,
    /// By whom.
    pub customer: u32,
    /// The order's sum, cents (place).
    pub amount_cents: i64,
    /// When it should start, ns since second 0.
    pub intended_ns: u64,
    /// When the generator began to send it.
    pub sent_ns: u64,
    /// When its answer was complete, or it was given up.
    pub done_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// The HTTP status; 0 without an answer.
    pub status: u16,
    /// Why there is no answer, if there is none.
    pub trouble: Trouble,
    /// What the answer said of the order.
    pub receipt: Receipt,
    /// The key of the order that was looked up (get), else empty; not in records of format 1.
    #[serde(default)]
    pub about: String,
    /// The id of the order that the answer told of; empty if it told of none, and in older records.
    #[serde(default)]
    pub order: String,
    /// The sum that it told, cents; empty if it told none, and in older records.
    #[serde(default)]
    pub amount: Option<i64>,
    /// 0 for the first attempt, n for the n-th retry of the same request; 0 in older records.
    #[serde(default, rename = "try")]
    pub retry: u8,
    /// Whether another attempt of the same request was to follow; false in older records.
    #[serde(default)]
    pub again: bool,
    /// How long it waited for a connection, ns, from `sent_ns` on; 0 in older records.
    #[serde(default, rename = "waited")]
    pub waited_ns: u64,
}

/// The same line, as far as it tells of when.
#[derive(Clone, Debug, Deserialize)]
pub struct Passage {
    /// The idempotency key (place), else empty.
    pub key: String,
    /// What was asked.
    pub operation: Operation,
    /// When it should start, ns since second 0.
    pub intended_ns: u64,
    /// When the generator began to send it.
    pub sent_ns: u64,
    /// When its answer was complete, or it was given up.
    pub done_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// Reads when attempts were made.
///
/// # Errors
/// As [`read`].
pub fn passages(folder: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Passage>>> {
    read_table(&folder.join(files::HISTORY))
}

/// Reads a history, line by line.
///
/// # Errors
/// If the file is missing; a line that does not fit is an error of the iterator.
pub fn read(folder: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Attempt>>> {
    read_table(&folder.join(files::HISTORY))
}

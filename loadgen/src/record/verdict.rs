//! What the audit found, as `audit.json` keeps it.

use serde::{Deserialize, Serialize};

/// Three values: a doubt is never a pass. Merged, false beats unknown beats true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Nothing is wrong.
    True,
    /// It could not be judged.
    #[default]
    Unknown,
    /// Something is wrong.
    False,
}

/// `audit.json`: what became of every order and every charge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Over all classes.
    pub verdict: Answer,
    /// Why it is unknown, if it is.
    pub reasons: Vec<String>,
    /// What was asked, answered, found.
    pub counts: AuditCounts,
    /// Every class of violation, also those with none.
    pub violations: Vec<Finding>,
    /// Legal but worth counting.
    pub oddities: Vec<Finding>,
}

/// The sums behind a verdict. Orders are counted by key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCounts {
    /// Orders that were asked for (sent).
    pub asked: u64,
    /// Acknowledged with 201 or 202.
    pub acknowledged: u64,
    /// Certainly without effect, as the client was told.
    pub failed: u64,
    /// Of unknown outcome.
    pub unknown: u64,
    /// Orders found in the orders ledger.
    pub orders: u64,
    /// Of these, paid.
    pub paid: u64,
    /// Of these, declined.
    pub declined: u64,
    /// Of these, pending after the drain.
    pub pending: u64,
    /// Captures in the provider's journal.
    pub captures: u64,
    /// Cents captured.
    pub captured_cents: i64,
    /// Cents of paid orders.
    pub paid_cents: i64,
}

/// One class, how often it was met, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// lost, duplicated, double-charge, …
    pub class: String,
    /// What it means, in one sentence.
    pub meaning: String,
    /// How many orders.
    pub count: u64,
    /// At most 48 of their keys.
    pub examples: Vec<String>,
}

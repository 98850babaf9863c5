//! What the audit found, as `audit.json` keeps it, and how the scenario's promises fared
//! (`thresholds.json`).

use serde::{Deserialize, Serialize};

use super::{Doubt, Operation};

/// Three values: a doubt is never a pass. Merged, false beats unknown beats true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Over all classes: the worse of safety and liveness.
    pub verdict: Answer,
    /// Nothing wrong has happened.
    #[serde(default)]
    pub safety: Answer,
    /// Every order came to its end.
    #[serde(default)]
    pub liveness: Answer,
    /// Why it is unknown, if it is.
    pub reasons: Vec<Doubt>,
    /// What the record does not allow to check, mostly because it is older; no reason to doubt what is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<String>,
    /// What was asked, answered, found.
    pub counts: AuditCounts,
    /// Every class of violation, also those with none.
    pub violations: Vec<Finding>,
    /// Legal but worth counting.
    pub oddities: Vec<Finding>,
    /// How the system came back after each fault; `None` if there was none. It does not enter the
    /// verdict.
    #[serde(default)]
    pub recovery: Option<Recovery>,
}

impl Verdict {
    /// The verdict when the record cannot be read.
    #[must_use]
    pub fn unreadable(reason: String) -> Self {
        Self { reasons: vec![reason.into()], ..Self::default() }
    }

    /// The reasons in words.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        self.reasons.iter().map(Doubt::to_string).collect()
    }
}

/// Whether a system stayed down after what had harmed it was gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metastable {
    /// It came back.
    No,
    /// The record does not say.
    #[default]
    Unknown,
    /// It did not come back within a minute, under the load of before.
    Yes,
}

/// What the time series says of the time after the faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Orders that met the objective, as a share of those offered, before the first fault.
    pub good_share_before: Option<f64>,
    /// The worst of the faults.
    pub metastable: Metastable,
    /// One by one.
    pub faults: Vec<FaultRecovery>,
    /// After the phase "during" of a load without faults, whose trouble is the load itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<FaultRecovery>,
}

/// The kind of a [`FaultRecovery`] that is no fault but a phase of the load.
pub const PHASE: &str = "phase";

impl FaultRecovery {
    /// What it is about: "kill on orders", "the phase during".
    #[must_use]
    pub fn name(&self) -> String {
        if self.kind == PHASE {
            return format!("the phase {}", self.harm);
        }
        format!("{} on {}", self.kind, self.harm)
    }
}

/// How a system came back after one fault. `None`: it did not, or the record does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRecovery {
    /// The fault's kind.
    pub kind: String,
    /// The role that it harmed.
    pub harm: String,
    /// When it was healed, s.
    pub healed_s: f64,
    /// From the healing until goodput was back, s.
    pub recovered_after_s: Option<f64>,
    /// Whether it is known that nothing was in work at its onset: it proves little.
    #[serde(default)]
    pub met_nothing: bool,
    /// Orders in work at the instant of the healing: asked for, and not yet answered and final. In older
    /// records open requests and accepted orders at the end of the second of the healing.
    pub backlog: u64,
    /// The most that were in work before the faults; `None` in older records, and where there is no
    /// level from before.
    #[serde(default)]
    pub before: Option<u64>,
    /// From the healing until no more was in work than before the faults, s.
    pub drained_after_s: Option<f64>,
    /// The mean rate of orders that became final while it drained, 1/s (μ).
    pub completed_per_s: Option<f64>,
    /// The mean rate of arrival while it drained, 1/s (λ).
    pub offered_per_s: Option<f64>,
    /// The backlog's growth divided by μ − λ, s; `None` if μ is not above λ.
    pub drain_predicted_s: Option<f64>,
    /// What the drain's first half says of its second; `None` of a short one, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// Whether it stayed down.
    pub metastable: Metastable,
    /// Why that is unknown, if it is.
    pub why: String,
}

/// The second half of a drain, foretold by left/(μ − λ). μ is taken from the first half alone, so nothing makes forecast
/// and length equal but a system that goes on as it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Orders that became final, per second, while the backlog fell from nine tenths to a half (μ).
    pub completed_per_s: f64,
    /// The mean rate of arrival from the healing to the end of the load, 1/s (λ).
    pub offered_per_s: f64,
    /// The half of the backlog that was left.
    pub left: u64,
    /// left/(μ − λ), s.
    pub predicted_s: f64,
    /// How long it was until no more was in work than before, for the first time, s.
    pub lasted_s: f64,
}

/// How one promise of a scenario fared in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Met {
    /// The promise.
    pub expect: String,
    /// The operation.
    pub operation: Operation,
    /// The phase; empty for the audit's classes, which belong to the whole trial.
    pub phase: String,
    /// What was found; `None` if it could not be known (too few samples, no audit).
    pub found: Option<f64>,
    /// Whether it held; what could not be known did not.
    pub met: bool,
    /// Why nothing was found, in words; empty if something was, and in older records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Met {
    /// What was found, or why nothing was.
    #[must_use]
    pub fn found(&self, shown: impl Fn(f64) -> String) -> String {
        match self.found {
            Some(found) => shown(found),
            None if self.why.is_empty() => "not known".to_owned(),
            None => self.why.clone(),
        }
    }
}

/// The sums behind a verdict. Orders are counted by key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCounts {
    /// Orders that were asked for (sent).
    pub asked: u64,
    /// Acknowledged with 201 or 202.
    pub acknowledged: u64,
    /// Of these, orders of the load: neither of the preparation nor poisoned; `None` in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_of_load: Option<u64>,
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
    /// Of these, pending after the drain, dead letters apart.
    pub pending: u64,
    /// Of these, not final, and their message is a dead letter.
    #[serde(default)]
    pub dead: u64,
    /// Captures in the provider's journal.
    pub captures: u64,
    /// Cents captured.
    pub captured_cents: i64,
    /// Cents of paid orders.
    pub paid_cents: i64,
}

impl AuditCounts {
    /// What a class that was not met was not met among: acknowledged orders of the load. Older records
    /// count the preparation's with them.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.acknowledged_of_load.unwrap_or(self.acknowledged)
    }

    /// Whether every order is in exactly one state.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.orders == self.paid + self.declined + self.dead + self.pending
    }
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

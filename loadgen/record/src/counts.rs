//! How many requests of an operation had which end.

use serde::{Deserialize, Serialize};

use super::Outcome;

/// What became of the requests of one operation; `scheduled` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Arrivals in the schedule.
    pub scheduled: u64,
    /// Answered as asked.
    pub ok: u64,
    /// Certainly without effect.
    pub failed: u64,
    /// May have had an effect.
    pub unknown: u64,
    /// Never sent: a limit of the generator.
    pub dropped: u64,
    /// Open when the drain ended.
    pub unfinished: u64,
}

impl RequestCounts {
    /// Whether every scheduled request is in exactly one class.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.scheduled == self.recorded()
    }

    /// How many are in a class.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.ok + self.failed + self.unknown + self.dropped + self.unfinished
    }

    /// How many ended so.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Ok => self.ok,
            Outcome::Failed => self.failed,
            Outcome::Unknown => self.unknown,
            Outcome::Dropped => self.dropped,
            Outcome::Unfinished => self.unfinished,
        }
    }
}

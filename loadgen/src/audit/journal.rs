//! The provider's journal as a witness: does it contradict itself? Then it proves nothing.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::ledger::{ChargeRow, UNREADABLE};

/// Lines that wait for one fsync may be stamped in another order than they are written.
const BACK_MAX_US: i64 = 1_000_000;

/// What was met in a journal, read from its beginning.
#[derive(Debug, Default)]
pub(super) struct Journal {
    lines: u64,
    latest_us: Option<i64>,
    /// Hashes of charge ids: 8 bytes each. Two of ten million meet with a chance of 3 in a million,
    /// and would make a doubt, not a pass.
    captured: HashSet<u64>,
    state: RandomState,
    unreadable: Vec<u64>,
    backwards: Vec<u64>,
    twice: Vec<u64>,
}

impl Journal {
    pub(super) fn add(&mut self, row: &ChargeRow) {
        self.lines += 1;
        if row.event == UNREADABLE {
            self.unreadable.push(self.lines);
            return;
        }
        if self.latest_us.is_some_and(|latest| row.at_us < latest - BACK_MAX_US) {
            self.backwards.push(self.lines);
        }
        self.latest_us = self.latest_us.max(Some(row.at_us));
        if row.event == "captured"
            && let Some(id) = &row.charge_id
            && !self.captured.insert(self.state.hash_one(id))
        {
            self.twice.push(self.lines);
        }
    }

    /// One reason per contradiction; `unfounded` keys were repeated without a first decision.
    pub(super) fn doubts(&self, unfounded: u64) -> Vec<String> {
        let told = |lines: &[u64], what: &str| {
            let first = lines.first()?;
            let number = lines.len();
            Some(format!("the provider's journal: {number} lines {what}, first line {first}"))
        };
        let unfounded = (unfounded > 0).then(|| {
            format!(
                "the provider's journal repeats the decision of {unfounded} keys, but holds none"
            )
        });
        let doubts = [
            told(&self.unreadable, "cannot be read"),
            told(&self.backwards, "are more than 1 s older than one before them"),
            told(&self.twice, "capture under a charge id that was used before"),
            unfounded,
        ];
        doubts.into_iter().flatten().collect()
    }
}

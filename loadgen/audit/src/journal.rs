//! The provider's journal as a witness: does it contradict itself, or lack lines? Then what is not in
//! it proves nothing.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use record::ledger::{ChargeRow, FORGED, UNREADABLE};
use record::{Doubt, JournalFlaw};

/// Lines that wait for one fsync may be stamped in another order than they are written.
const BACK_MAX_US: i64 = 1_000_000;
/// What the network writes.
const EVENTS: [&str; 7] =
    ["captured", "declined", "voided", "repeated", "error", "notified-paid", "notified-declined"];

/// Lines that are wrong in one way: how many, and the first one's place.
#[derive(Debug, Default)]
struct Lines {
    count: u64,
    first: u64,
}

impl Lines {
    fn add(&mut self, place: u64) {
        self.count += 1;
        if self.first == 0 {
            self.first = place;
        }
    }

    fn doubt(&self, flaw: JournalFlaw) -> Option<Doubt> {
        let Self { count: lines, first } = *self;
        (lines > 0).then_some(Doubt::Journal { flaw, lines, first })
    }
}

/// What was met in a journal, read from its beginning.
#[derive(Debug, Default)]
pub(super) struct Journal {
    lines: u64,
    latest_us: Option<i64>,
    /// The number of the last line that bears one.
    number: u64,
    /// Hashes of charge ids: 8 bytes each. Two of ten million meet with a chance of 3 in a million,
    /// and would make a doubt, not a pass.
    captured: HashSet<u64>,
    state: RandomState,
    unreadable: Lines,
    forged: Lines,
    unknown: Lines,
    displaced: Lines,
    backwards: Lines,
    twice: Lines,
}

impl Journal {
    /// Takes a line; returns whether it is one of the network's, and so a fact.
    pub(super) fn add(&mut self, row: &ChargeRow) -> bool {
        self.lines += 1;
        let strange = match row.event.as_str() {
            UNREADABLE => Some(&mut self.unreadable),
            FORGED => Some(&mut self.forged),
            event if !EVENTS.contains(&event) => Some(&mut self.unknown),
            _ => None,
        };
        if let Some(lines) = strange {
            lines.add(self.lines);
            return false;
        }
        if let Some(number) = row.n {
            if Some(number) != self.number.checked_add(1) {
                self.displaced.add(self.lines);
            }
            self.number = number;
        }
        if self.latest_us.is_some_and(|latest| row.at_us < latest.saturating_sub(BACK_MAX_US)) {
            self.backwards.add(self.lines);
        }
        self.latest_us = self.latest_us.max(Some(row.at_us));
        if row.event == "captured"
            && let Some(id) = &row.charge_id
            && !self.captured.insert(self.state.hash_one(id))
        {
            self.twice.add(self.lines);
        }
        true
    }

    /// Whether no line is missing, as far as can be known; `written`: how many the network says it wrote.
    pub(super) fn is_whole(&self, written: Option<u64>) -> bool {
        let torn = self.unreadable.count + self.displaced.count;
        torn == 0 && written.is_none_or(|written| self.number >= written)
    }

    /// One reason per contradiction; `unfounded` keys were repeated without a first decision.
    pub(super) fn doubts(&self, written: Option<u64>, unfounded: u64) -> Vec<Doubt> {
        let last = self.number;
        let short = written.filter(|written| last < *written);
        let doubts = [
            self.unreadable.doubt(JournalFlaw::Unreadable),
            self.forged.doubt(JournalFlaw::Forged),
            self.unknown.doubt(JournalFlaw::Unknown),
            self.displaced.doubt(JournalFlaw::Displaced),
            short.map(|written| Doubt::JournalShort { last, written }),
            self.backwards.doubt(JournalFlaw::Backwards),
            self.twice.doubt(JournalFlaw::Twice),
            (unfounded > 0).then_some(Doubt::Unfounded { keys: unfounded }),
        ];
        doubts.into_iter().flatten().collect()
    }
}

//! One topic in memory: the states of a message and the moves between them, as pure functions of
//! the time they are given. It knows no tasks, no clock and no disk.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::port::{error_text, now_us};
use crate::{
    DeadLetter, Delivery, Depth, Error, Failure, Message, Micros, Receipt, Result, Settings,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Delayed,
    Leased,
}

struct Entry {
    message: Message,
    state: State,
    /// When a backoff or a lease ends.
    due: Instant,
    attempt: u32,
    errors: Vec<Failure>,
    published_us: Micros,
}

pub(crate) struct Lane {
    name: String,
    settings: Settings,
    last_id: i64,
    live: BTreeMap<i64, Entry>,
    ready: BTreeSet<i64>,
    timed: BTreeSet<(Instant, i64)>,
    dead: BTreeMap<i64, DeadLetter>,
}

impl Lane {
    pub(crate) fn new(name: &str, settings: Settings) -> Self {
        Self {
            name: name.to_owned(),
            settings,
            last_id: 0,
            live: BTreeMap::new(),
            ready: BTreeSet::new(),
            timed: BTreeSet::new(),
            dead: BTreeMap::new(),
        }
    }

    pub(crate) fn publish(&mut self, now: Instant, message: Message) -> Result<()> {
        if self.room() == 0 {
            let depth_max = self.settings.depth_max;
            return Err(Error::Full { topic: self.name.clone(), depth_max });
        }
        self.insert(now, message, now_us());
        Ok(())
    }

    /// The oldest ready message, leased from now.
    pub(crate) fn claim(&mut self, now: Instant) -> Option<Delivery> {
        let id = self.ready.pop_first()?;
        let entry = self.live.get_mut(&id)?;
        entry.attempt += 1;
        entry.state = State::Leased;
        entry.due = now + self.settings.lease;
        self.timed.insert((entry.due, id));
        Some(Delivery {
            receipt: Receipt { id, attempt: entry.attempt },
            message: entry.message.clone(),
            published_us: entry.published_us,
            lease: self.settings.lease,
        })
    }

    pub(crate) fn ack(&mut self, receipt: Receipt) -> Result<()> {
        let due = self.leased(receipt)?.due;
        self.timed.remove(&(due, receipt.id));
        self.live.remove(&receipt.id);
        Ok(())
    }

    pub(crate) fn nack(&mut self, now: Instant, receipt: Receipt, text: &str) -> Result<()> {
        self.leased(receipt)?;
        let due = now + self.settings.backoff.delay(receipt.attempt);
        self.fail(receipt.id, text, State::Delayed, due);
        Ok(())
    }

    pub(crate) fn extend(&mut self, now: Instant, receipt: Receipt) -> Result<()> {
        let until = now + self.settings.lease;
        let entry = self.leased(receipt)?;
        let due = std::mem::replace(&mut entry.due, until);
        self.timed.remove(&(due, receipt.id));
        self.timed.insert((until, receipt.id));
        Ok(())
    }

    /// Gives a delivery back at once; its attempt stays counted. True if it was still leased.
    pub(crate) fn release(&mut self, now: Instant, receipt: Receipt) -> bool {
        let held = self.leased(receipt).is_ok();
        if held {
            // As the embedded broker does: a first time may be chance, more may be its doing.
            let (then, due) = match receipt.attempt {
                1 => (State::Ready, now),
                attempt => (State::Delayed, now + self.settings.backoff.delay(attempt)),
            };
            self.fail(receipt.id, "the consumer went away", then, due);
        }
        held
    }

    /// Ends the backoffs and leases that are over.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(&(due, id)) = self.timed.first()
            && due <= now
        {
            if self.live.get(&id).is_some_and(|entry| entry.state == State::Leased) {
                self.fail(id, "the lease ended", State::Ready, now);
            } else {
                self.timed.pop_first();
                self.make_ready(id);
            }
        }
    }

    /// When `expire` has something to do next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.timed.first().map(|(due, _)| *due)
    }

    pub(crate) fn depth(&self) -> Depth {
        let count = |state| self.live.values().filter(|entry| entry.state == state).count() as u64;
        Depth {
            ready: count(State::Ready),
            delayed: count(State::Delayed),
            leased: count(State::Leased),
            dead: self.dead.len() as u64,
        }
    }

    pub(crate) fn dead(&self, limit: u32) -> Vec<DeadLetter> {
        self.dead.values().take(limit as usize).cloned().collect()
    }

    pub(crate) fn replay(&mut self, now: Instant, limit: u32) -> u64 {
        let most = self.room().min(u64::from(limit));
        let mut replayed = 0;
        while replayed < most
            && let Some((_, letter)) = self.dead.pop_first()
        {
            self.insert(now, letter.message, letter.published_us);
            replayed += 1;
        }
        replayed
    }

    fn room(&self) -> u64 {
        self.settings.depth_max.saturating_sub(self.live.len() as u64)
    }

    fn insert(&mut self, now: Instant, message: Message, published_us: Micros) {
        self.last_id += 1;
        let (state, errors) = (State::Ready, Vec::new());
        let entry = Entry { message, state, due: now, attempt: 0, errors, published_us };
        self.live.insert(self.last_id, entry);
        self.ready.insert(self.last_id);
    }

    fn leased(&mut self, receipt: Receipt) -> Result<&mut Entry> {
        self.live
            .get_mut(&receipt.id)
            .filter(|entry| entry.state == State::Leased && entry.attempt == receipt.attempt)
            .ok_or(Error::Fenced)
    }

    /// Ends a lease that did not end well: the message becomes `then`, or a dead letter.
    fn fail(&mut self, id: i64, text: &str, then: State, due: Instant) {
        let Some(entry) = self.live.get_mut(&id) else { return };
        self.timed.remove(&(entry.due, id));
        let (attempt, text) = (entry.attempt, error_text(text).to_owned());
        entry.errors.push(Failure { attempt, at_us: now_us(), text });
        if attempt >= self.settings.attempts_max {
            return self.bury(id);
        }
        entry.state = then;
        entry.due = due;
        match then {
            State::Ready => self.make_ready(id),
            State::Delayed | State::Leased => {
                self.timed.insert((due, id));
            }
        }
    }

    fn make_ready(&mut self, id: i64) {
        if let Some(entry) = self.live.get_mut(&id) {
            entry.state = State::Ready;
            self.ready.insert(id);
        }
    }

    fn bury(&mut self, id: i64) {
        let Some(entry) = self.live.remove(&id) else { return };
        let Entry { message, attempt: attempts, errors, published_us, .. } = entry;
        let died_us = now_us();
        self.dead.insert(id, DeadLetter { id, message, attempts, errors, published_us, died_us });
    }
}

//! One topic in memory: the states of a message and the moves between them, as pure functions of
//! the time they are given. It knows no tasks, no clock and no disk.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::claim::{Claim, Handed};
use crate::clock::now_us;
use crate::port::error_text;
use crate::window::Share;
use crate::{
    DeadLetter, Delivery, Depth, Error, Failure, Message, Micros, Receipt, Result, Settings, Settle,
};

/// Nothing here outlives its process, so no receipt meets another's numbers.
const EPOCH: u64 = 0;
/// A century: further than any clock of ours.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Never delivered.
    Fresh,
    /// To be delivered again, from its due time on.
    Again,
    Leased,
}

struct Entry {
    message: Message,
    state: State,
    /// When it was published, it comes again, or its lease ends.
    due: Instant,
    /// Deliveries.
    claims: u32,
    /// Attempts that failed.
    failures: Vec<Failure>,
    published_us: Micros,
}

pub(crate) struct Lane {
    name: String,
    settings: Settings,
    last_id: i64,
    live: BTreeMap<i64, Entry>,
    fresh: BTreeSet<i64>,
    again: BTreeSet<(Instant, i64)>,
    leased: BTreeSet<(Instant, i64)>,
    dead: BTreeMap<i64, DeadLetter>,
}

impl Lane {
    pub(crate) fn new(name: &str, settings: Settings) -> Self {
        Self {
            name: name.to_owned(),
            settings,
            last_id: 0,
            live: BTreeMap::new(),
            fresh: BTreeSet::new(),
            again: BTreeSet::new(),
            leased: BTreeSet::new(),
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

    /// What has waited longest and fits the share, leased from now.
    pub(crate) fn claim(&mut self, now: Instant, mut share: Share) -> Option<Handed> {
        let id = self.next(now, &mut share)?;
        let lease = self.settings.lease;
        let entry = self.live.get_mut(&id)?;
        let redelivered = (entry.state == State::Again).then_some(entry.failures.len() as u32);
        self.fresh.remove(&id);
        self.again.remove(&(entry.due, id));
        entry.claims += 1;
        (entry.state, entry.due) = (State::Leased, now + lease);
        self.leased.insert((entry.due, id));
        let claim = Claim { id, number: entry.claims };
        let delivery = Delivery {
            receipt: claim.receipt(EPOCH),
            message: entry.message.clone(),
            attempt: Some(entry.failures.len() as u32 + 1),
            redelivered: redelivered.is_some(),
            published_us: entry.published_us,
            lease: Some(lease),
            since: now,
        };
        Some(Handed { claim, delivery, redelivered })
    }

    /// What a receipt of a lane names.
    pub(crate) fn named(receipt: &Receipt) -> Result<Claim> {
        Claim::of(receipt, EPOCH).ok_or(Error::Fenced)
    }

    pub(crate) fn settle(&mut self, now: Instant, claim: Claim, how: &Settle) -> Result<()> {
        let failures = self.leased(claim)?.failures.len() as u32;
        match how {
            Settle::Ack => drop(self.forget(claim.id)),
            Settle::Defer(delay) => {
                let due = now.checked_add(*delay).unwrap_or(now + FAR);
                self.comes_again(claim.id, due);
            }
            Settle::Fail(text) => {
                let due = now + self.settings.backoff.delay(failures + 1);
                self.fail(claim.id, text, due);
            }
            Settle::Reject(text) => {
                self.note(claim.id, text);
                self.bury(claim.id);
            }
        }
        Ok(())
    }

    pub(crate) fn extend(&mut self, now: Instant, claim: Claim) -> Result<()> {
        let until = now + self.settings.lease;
        let entry = self.leased(claim)?;
        let due = std::mem::replace(&mut entry.due, until);
        self.leased.remove(&(due, claim.id));
        self.leased.insert((until, claim.id));
        Ok(())
    }

    /// Ends the leases that are over.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(&(due, id)) = self.leased.first()
            && due <= now
        {
            self.fail(id, "the lease ended", now);
        }
    }

    /// When something comes again, or a lease ends, next.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let again = self.again.range((now, i64::MAX)..).next();
        again.into_iter().chain(self.leased.first()).map(|(due, _)| *due).min()
    }

    pub(crate) fn depth(&self, now: Instant) -> Depth {
        let due = self.again.range(..=(now, i64::MAX)).count();
        Depth {
            ready: (self.fresh.len() + due) as u64,
            delayed: (self.again.len() - due) as u64,
            leased: self.leased.len() as u64,
            dead: self.dead.len() as u64,
        }
    }

    pub(crate) fn holds(&self, keys: &[String]) -> HashSet<String> {
        let live: HashSet<&str> = self.live.values().map(|e| e.message.key.as_str()).collect();
        keys.iter().filter(|key| live.contains(key.as_str())).cloned().collect()
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

    /// The longest due of both kinds, if there is room for it; else what is fresh.
    fn next(&self, now: Instant, share: &mut Share) -> Option<i64> {
        let fresh = self.fresh.first().and_then(|id| Some((self.live.get(id)?.due, *id)));
        let again = self.again.first().copied().filter(|(due, _)| *due <= now);
        let first = again.filter(|again| fresh.is_none_or(|fresh| *again <= fresh));
        if let Some((_, id)) = first {
            let failures = self.live.get(&id)?.failures.len() as u32;
            if share.admit(failures) {
                return Some(id);
            }
        }
        fresh.map(|(_, id)| id)
    }

    fn insert(&mut self, now: Instant, message: Message, published_us: Micros) {
        self.last_id += 1;
        let entry = Entry {
            message,
            state: State::Fresh,
            due: now,
            claims: 0,
            failures: Vec::new(),
            published_us,
        };
        self.live.insert(self.last_id, entry);
        self.fresh.insert(self.last_id);
    }

    fn leased(&mut self, claim: Claim) -> Result<&mut Entry> {
        self.live
            .get_mut(&claim.id)
            .filter(|entry| entry.state == State::Leased && entry.claims == claim.number)
            .ok_or(Error::Fenced)
    }

    /// Counts an attempt that failed: the message comes again, or is a dead letter.
    fn fail(&mut self, id: i64, text: &str, due: Instant) {
        if self.note(id, text) >= self.settings.attempts_max {
            return self.bury(id);
        }
        self.comes_again(id, due);
    }

    /// Writes a failure down; returns how many there are.
    fn note(&mut self, id: i64, text: &str) -> u32 {
        let Some(entry) = self.live.get_mut(&id) else { return 0 };
        let attempt = entry.failures.len() as u32 + 1;
        let text = error_text(text).to_owned();
        entry.failures.push(Failure { attempt, at_us: now_us(), text });
        attempt
    }

    fn comes_again(&mut self, id: i64, due: Instant) {
        let Some(entry) = self.live.get_mut(&id) else { return };
        self.leased.remove(&(entry.due, id));
        (entry.state, entry.due) = (State::Again, due);
        self.again.insert((due, id));
    }

    fn forget(&mut self, id: i64) -> Option<Entry> {
        let entry = self.live.remove(&id)?;
        self.leased.remove(&(entry.due, id));
        Some(entry)
    }

    fn bury(&mut self, id: i64) {
        let Some(entry) = self.forget(id) else { return };
        let Entry { message, failures: errors, published_us, .. } = entry;
        let (attempts, died_us) = (errors.len() as u32, now_us());
        self.dead.insert(id, DeadLetter { id, message, attempts, errors, published_us, died_us });
    }
}

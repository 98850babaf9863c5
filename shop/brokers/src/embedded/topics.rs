//! The topics this broker has met: their names, who waits for them, and what was counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::offers::Offers;
use crate::port::check_topic;
use crate::{Error, Result};

/// Topics of one broker.
const TOPICS_MAX: usize = 1_024;

/// A topic by name.
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Who is claimed for at once.
    pub(super) offers: Offers,
    /// One permit while ready messages may be there: who takes it claims, and passes it on if the
    /// claim left some.
    pub(crate) ready: Notify,
}

#[derive(Default)]
pub(crate) struct Topics {
    known: Mutex<BTreeMap<String, Arc<Topic>>>,
}

impl Topics {
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Topic>> {
        let mut known = self.known();
        if let Some(topic) = known.get(name) {
            return Ok(Arc::clone(topic));
        }
        check_topic(name)?;
        if known.len() >= TOPICS_MAX {
            return Err(Error::Invalid(format!("more than {TOPICS_MAX} topics")));
        }
        let (name, offers, ready) = (name.to_owned(), Offers::default(), Notify::new());
        let topic = Arc::new(Topic { name, offers, ready });
        known.insert(topic.name.clone(), Arc::clone(&topic));
        Ok(topic)
    }

    /// A topic that somebody has asked for before.
    pub(super) fn met(&self, name: &str) -> Option<Arc<Topic>> {
        self.known().get(name).cloned()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages stored.
    pub publishes: u64,
    /// Deliveries claimed.
    pub claims: u64,
    /// Messages done.
    pub acks: u64,
    /// Deliveries put off: what they need is down or busy.
    pub deferrals: u64,
    /// Failures reported.
    pub failures: u64,
    /// Messages given up at once.
    pub rejections: u64,
    /// Settlements and extensions refused, because the lease was lost.
    pub fenced: u64,
    /// Commits that reached the disk.
    pub commits: u64,
    /// Transactions in them; a batch of requests from one connection is one.
    pub transactions: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) publishes: AtomicU64,
    pub(crate) claims: AtomicU64,
    pub(crate) acks: AtomicU64,
    pub(crate) deferrals: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) rejections: AtomicU64,
    pub(crate) fenced: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            publishes: of(&self.publishes),
            claims: of(&self.claims),
            acks: of(&self.acks),
            deferrals: of(&self.deferrals),
            failures: of(&self.failures),
            rejections: of(&self.rejections),
            fenced: of(&self.fenced),
            ..Counts::default()
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

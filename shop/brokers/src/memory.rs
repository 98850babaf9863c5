//! An engine in this process that can no more than an engine must: for tests of what is supplied over it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::claim::Claim;
use crate::engine::{Bound, Count, Engine, Handle, Source, Taken};
use crate::supplied::Supplied;
use crate::window::wait;
use crate::{Error, Receipt, Result, Settings};

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "memory",
    form: "memory:",
    capabilities: Capabilities { lease: true, ..Capabilities::NONE },
    settings: Keeper::Client,
    server: None,
    open: |_, settings| Ok(Arc::new(Supplied::new(Memory::default(), settings))),
};

/// Nothing here outlives its process.
const EPOCH: u64 = 0;

#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queues: Mutex<BTreeMap<String, Queue>>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    last: i64,
    entries: BTreeMap<i64, Entry>,
}

struct Entry {
    body: Bytes,
    /// How often it was taken.
    times: u32,
    /// When it was taken or extended, and until when it is somebody's.
    held: Option<(Instant, Instant)>,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, BTreeMap<String, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn append(&mut self, body: Bytes) {
        self.last += 1;
        self.entries.insert(self.last, Entry { body, times: 0, held: None });
    }

    fn take(&mut self, most: u32, lease: Duration) -> Vec<Taken> {
        let now = Instant::now();
        let free = |entry: &Entry| entry.held.is_none_or(|(_, until)| until <= now);
        let free = self.entries.iter_mut().filter(|(_, entry)| free(entry));
        let take = |(id, entry): (&i64, &mut Entry)| {
            entry.times += 1;
            let before = entry.held.replace((now, now + lease));
            let silent = before.map(|(heard, _)| now - heard);
            let Receipt(handle) = Claim { id: *id, number: entry.times }.receipt(EPOCH);
            Taken { handle, body: entry.body.clone(), silent }
        };
        free.take(most as usize).map(take).collect()
    }

    /// The entry that this delivery still holds.
    fn held(&mut self, handle: &Handle) -> Result<(i64, &mut Entry)> {
        let claim = Claim::of(&Receipt(handle.clone()), EPOCH).ok_or(Error::Fenced)?;
        let entry = self.entries.get_mut(&claim.id).ok_or(Error::Fenced)?;
        if entry.times == claim.number { Ok((claim.id, entry)) } else { Err(Error::Fenced) }
    }

    fn forget(&mut self, handle: &Handle) -> Result<()> {
        let (id, _) = self.held(handle)?;
        self.entries.remove(&id);
        Ok(())
    }
}

#[async_trait]
impl Engine for Memory {
    async fn declare(&self, queue: &str, _: &Settings) -> Result<()> {
        self.0.queues().entry(queue.to_owned()).or_default();
        Ok(())
    }

    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool> {
        let mut queues = self.0.queues();
        let live = bound.queues.iter().filter_map(|name| queues.get(name));
        if live.map(|queue| queue.entries.len() as u64).sum::<u64>() >= bound.most {
            return Ok(false);
        }
        queues.entry(queue.to_owned()).or_default().append(body);
        self.0.changed.notify_waiters();
        Ok(true)
    }

    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>> {
        Ok(Box::new(Taker { shared: Arc::clone(&self.0), queue: queue.to_owned(), lease }))
    }

    async fn count(&self, queue: &str) -> Result<Count> {
        let (now, queues) = (Instant::now(), self.0.queues());
        let Some(queue) = queues.get(queue) else { return Ok(Count::default()) };
        let held = |entry: &&Entry| entry.held.is_some_and(|(_, until)| until > now);
        let taken = queue.entries.values().filter(held).count() as u64;
        Ok(Count { waiting: queue.entries.len() as u64 - taken, taken })
    }

    async fn look(&self, queue: &str, limit: u32) -> Result<Vec<Bytes>> {
        let queues = self.0.queues();
        let entries = queues.get(queue).into_iter().flat_map(|queue| queue.entries.values());
        Ok(entries.take(limit as usize).map(|entry| entry.body.clone()).collect())
    }
}

struct Taker {
    shared: Arc<Shared>,
    queue: String,
    lease: Duration,
}

impl Taker {
    fn with<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> T {
        work(self.shared.queues().entry(self.queue.clone()).or_default())
    }
}

#[async_trait]
impl Source for Taker {
    async fn take(&self, most: u32, longest: Duration) -> Result<Vec<Taken>> {
        let end = Instant::now() + longest;
        loop {
            let changed = self.shared.changed.notified();
            let taken = self.with(|queue| queue.take(most, self.lease));
            if !taken.is_empty() || Instant::now() >= end {
                return Ok(taken);
            }
            wait(changed, Some(end)).await;
        }
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        self.with(|queue| queue.forget(handle))
    }

    async fn forward(&self, handle: &Handle, to: &str, body: Bytes) -> Result<()> {
        let mut queues = self.shared.queues();
        queues.entry(self.queue.clone()).or_default().forget(handle)?;
        queues.entry(to.to_owned()).or_default().append(body);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>> {
        let now = Instant::now();
        let extend = |queue: &mut Queue, handle: &Handle| match queue.held(handle) {
            Ok((_, entry)) => entry.held.replace((now, now + self.lease)).is_some(),
            Err(_) => false,
        };
        Ok(self.with(|queue| handles.iter().map(|handle| extend(queue, handle)).collect()))
    }
}

//! The broker inside one process: the same promises as the durable ones, except that nothing
//! survives the process. For tests, and for wiring without a second process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep_until};

use crate::lane::Lane;
use crate::port::check_topic;
use crate::{
    Broker, DeadLetter, Delivery, Depth, Error, Message, Receipt, Result, Settings,
    SubscribeOptions, Subscription,
};

/// Topics of one broker.
const TOPICS_MAX: usize = 1_024;

/// A broker in this process.
pub struct Channel {
    settings: Settings,
    topics: Mutex<BTreeMap<String, Arc<Shared>>>,
}

/// A lane and those who wait for it to change.
struct Shared {
    lane: Mutex<Lane>,
    changed: Notify,
}

impl Channel {
    /// An empty broker.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, topics: Mutex::default() }
    }

    fn topic(&self, name: &str) -> Result<Arc<Shared>> {
        check_topic(name)?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if !topics.contains_key(name) && topics.len() >= TOPICS_MAX {
            return Err(Error::Invalid(format!("more than {TOPICS_MAX} topics")));
        }
        let topic = topics.entry(name.to_owned()).or_insert_with(|| {
            let lane = Mutex::new(Lane::new(name, self.settings.clone()));
            Arc::new(Shared { lane, changed: Notify::new() })
        });
        Ok(Arc::clone(topic))
    }
}

impl Shared {
    /// The lane as it is at this instant.
    fn at(&self, now: Instant) -> MutexGuard<'_, Lane> {
        let mut lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner);
        lane.expire(now);
        lane
    }
}

#[async_trait]
impl Broker for Channel {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        message.check()?;
        let (topic, now) = (self.topic(topic)?, Instant::now());
        topic.at(now).publish(now, message)?;
        topic.changed.notify_waiters();
        Ok(())
    }

    async fn subscribe(
        &self,
        topic: &str,
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>> {
        options.check()?;
        let (topic, prefetch) = (self.topic(topic)?, options.prefetch as usize);
        Ok(Box::new(Consumer {
            topic,
            prefetch,
            lease: self.settings.lease,
            held: Mutex::default(),
        }))
    }

    async fn depth(&self, topic: &str) -> Result<Depth> {
        Ok(self.topic(topic)?.at(Instant::now()).depth())
    }

    async fn dead(&self, topic: &str, limit: u32) -> Result<Vec<DeadLetter>> {
        Ok(self.topic(topic)?.at(Instant::now()).dead(limit))
    }

    async fn replay(&self, topic: &str, limit: u32) -> Result<u64> {
        let (topic, now) = (self.topic(topic)?, Instant::now());
        let replayed = topic.at(now).replay(now, limit);
        topic.changed.notify_waiters();
        Ok(replayed)
    }
}

struct Consumer {
    topic: Arc<Shared>,
    prefetch: usize,
    lease: Duration,
    /// What is not settled, by message: the attempt, and when the lease ends.
    held: Mutex<HashMap<i64, (u32, Instant)>>,
}

impl Consumer {
    /// A delivery, or when to look again if nothing changes before.
    fn claim(&self) -> std::result::Result<Delivery, Option<Instant>> {
        let now = Instant::now();
        let mut lane = self.topic.at(now);
        let mut held = self.held();
        held.retain(|_, (_, until)| *until > now);
        if held.len() >= self.prefetch {
            return Err(lane.next_due());
        }
        let delivery = lane.claim(now).ok_or_else(|| lane.next_due())?;
        held.insert(delivery.receipt.id, (delivery.receipt.attempt, now + delivery.lease));
        Ok(delivery)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i64, (u32, Instant)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settled(&self, receipt: Receipt) {
        let mut held = self.held();
        if held.get(&receipt.id).is_some_and(|(attempt, _)| *attempt == receipt.attempt) {
            held.remove(&receipt.id);
        }
        drop(held);
        self.topic.changed.notify_waiters();
    }
}

#[async_trait]
impl Subscription for Consumer {
    async fn next(&self) -> Result<Delivery> {
        loop {
            let changed = self.topic.changed.notified();
            match self.claim() {
                Ok(delivery) => return Ok(delivery),
                Err(due) => wait(changed, due).await,
            }
        }
    }

    async fn ack(&self, receipt: Receipt) -> Result<()> {
        let outcome = self.topic.at(Instant::now()).ack(receipt);
        self.settled(receipt);
        outcome
    }

    async fn nack(&self, receipt: Receipt, error: &str) -> Result<()> {
        let now = Instant::now();
        let outcome = self.topic.at(now).nack(now, receipt, error);
        self.settled(receipt);
        outcome
    }

    async fn extend(&self, receipt: Receipt) -> Result<()> {
        let now = Instant::now();
        self.topic.at(now).extend(now, receipt)?;
        if let Some((attempt, until)) = self.held().get_mut(&receipt.id)
            && *attempt == receipt.attempt
        {
            *until = now + self.lease;
        }
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut lane = self.topic.at(now);
        for (&id, &(attempt, _)) in self.held().iter() {
            lane.release(now, Receipt { id, attempt });
        }
        drop(lane);
        self.topic.changed.notify_waiters();
    }
}

/// `notify_waiters` reaches a `Notified` from the moment it is made, so no change is missed.
async fn wait(changed: Notified<'_>, due: Option<Instant>) {
    match due {
        None => changed.await,
        Some(due) => tokio::select! {
            () = changed => {}
            () = sleep_until(due) => {}
        },
    }
}

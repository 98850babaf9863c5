//! The broker inside one process: the same promises as the durable ones, except that nothing
//! survives the process. For tests, and for wiring without a second process.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::lane::Lane;
use crate::port::check_topic;
use crate::window::{Window, wait};
use crate::{
    Broker, DeadLetter, Delivery, Depth, Error, Message, Receipt, Result, Settings, Settle,
    SubscribeOptions, Subscription,
};

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "channel",
    form: "channel:",
    capabilities: Capabilities { durable: false, ..Capabilities::ALL },
    settings: Keeper::Client,
    server: None,
    open: |_, settings| Ok(Arc::new(Channel::new(settings))),
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
        let window = Window::new(options.prefetch, options.retries());
        Ok(Box::new(Consumer { topic: self.topic(topic)?, window, lease: self.settings.lease }))
    }

    async fn depth(&self, topic: &str) -> Result<Depth> {
        let now = Instant::now();
        Ok(self.topic(topic)?.at(now).depth(now))
    }

    async fn holds(&self, topic: &str, keys: &[String]) -> Result<Option<HashSet<String>>> {
        Ok(Some(self.topic(topic)?.at(Instant::now()).holds(keys)))
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
    window: Window,
    lease: Duration,
}

impl Consumer {
    /// A delivery, or when to look again if nothing changes before.
    fn claim(&self) -> std::result::Result<Delivery, Option<Instant>> {
        let now = Instant::now();
        let mut lane = self.topic.at(now);
        let share = self.window.share().map_err(Some)?;
        let handed = lane.claim(now, share).ok_or_else(|| lane.next_due(now))?;
        self.window.hold(&handed, self.lease);
        Ok(handed.delivery)
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

    async fn settle(&self, receipt: &Receipt, how: Settle) -> Result<()> {
        let (claim, now) = (Lane::named(receipt)?, Instant::now());
        let outcome = self.topic.at(now).settle(now, claim, &how);
        self.window.settled(claim);
        self.topic.changed.notify_waiters();
        outcome
    }

    async fn extend(&self, receipt: &Receipt) -> Result<()> {
        let (claim, now) = (Lane::named(receipt)?, Instant::now());
        self.topic.at(now).extend(now, claim)?;
        self.window.extended(claim, self.lease);
        Ok(())
    }

    async fn limit_retries(&self, places: u32) -> Result<()> {
        self.window.limit_retries(places);
        self.topic.changed.notify_waiters();
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut lane = self.topic.at(now);
        for claim in self.window.take() {
            // A lease that was lost before is somebody else's.
            let _ = lane.settle(now, claim, &Settle::Defer(Duration::ZERO));
        }
        drop(lane);
        self.topic.changed.notify_waiters();
    }
}

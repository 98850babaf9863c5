//! A topic whose messages are JSON of one type, and the loop that consumes it.
//!
//! It knows the port, not who answers it.

use std::collections::{BTreeMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::worker::Worker;
use crate::{
    Backoff, Broker, Delivery, Error, Message, Micros, Receipt, Result, Settle, SubscribeOptions,
    Subscription,
};

/// How fast a consumer tries to subscribe again.
const RETRY: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(2) };

/// A topic of `M`.
pub struct Topic<M> {
    broker: Arc<dyn Broker>,
    name: String,
    of: PhantomData<fn(M) -> M>,
}

/// A delivery and what it says.
#[derive(Clone, Debug)]
pub struct Received<M> {
    /// To settle it with.
    pub receipt: Receipt,
    /// The idempotency key it was published with.
    pub key: String,
    /// What travelled along.
    pub headers: BTreeMap<String, String>,
    /// Which attempt this is, deferred ones apart; the first is 1. None if nobody counts.
    pub attempt: Option<u32>,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// When it was published, by the broker's clock.
    pub published_us: Micros,
    /// How long the lease lasts; none if there is none.
    pub lease: Option<Duration>,
    /// The content.
    pub value: M,
}

/// What a handler says of a message.
pub type Handled = std::result::Result<(), Trouble>;

/// Why a message's work is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Something that the work needs is down, slow or busy: the message comes again, uncounted.
    NotNow(String),
    /// The work failed by itself: counted, and given up after so many attempts.
    Failed(String),
    /// The work can never succeed: given up at once.
    Never(String),
}

/// What the work needs, met as a broker's error.
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(text) => Self::Never(text),
            down => Self::NotNow(down.to_string()),
        }
    }
}

impl<M> Clone for Topic<M> {
    fn clone(&self) -> Self {
        Self { broker: Arc::clone(&self.broker), name: self.name.clone(), of: PhantomData }
    }
}

impl<M: Serialize + DeserializeOwned + Send> Topic<M> {
    /// The topic of this name at this broker.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>, name: impl Into<String>) -> Self {
        Self { broker, name: name.into(), of: PhantomData }
    }

    /// Publishes; returned means durable. Errors: as `Broker::publish`.
    ///
    /// # Errors
    /// `Invalid` also if the value has no JSON form.
    pub async fn publish(
        &self,
        key: &str,
        headers: BTreeMap<String, String>,
        value: &M,
    ) -> Result<()> {
        let payload = serde_json::to_vec(value)
            .map_err(|error| Error::Invalid(format!("no JSON for topic {}: {error}", self.name)))?;
        let message = Message { key: key.to_owned(), payload: payload.into(), headers };
        self.broker.publish(&self.name, message).await
    }

    /// Which of these keys a message carries that is on its way; none as `Broker::holds`.
    ///
    /// # Errors
    /// As `Broker::holds`.
    pub async fn holds(&self, keys: &[String]) -> Result<Option<HashSet<String>>> {
        self.broker.holds(&self.name, keys).await
    }

    /// Begins to consume, for callers that settle by themselves. Waits for the broker.
    ///
    /// # Errors
    /// `Invalid` or `Protocol`.
    pub async fn subscribe(&self, options: SubscribeOptions) -> Result<Inbox<M>> {
        let mut attempt = 0;
        loop {
            match self.broker.subscribe(&self.name, options).await {
                Ok(subscription) => return Ok(Inbox { subscription, of: PhantomData }),
                Err(Error::Unavailable(_)) => attempt += 1,
                Err(error) => return Err(error),
            }
            sleep(RETRY.delay(attempt)).await;
        }
    }

    /// Handles messages until `shutdown`, up to `prefetch` at once, and extends the lease while it
    /// works. What the handler returns says what becomes of the message (see [`Trouble`]). A handler
    /// whose lease is lost is dropped where it stands. After `shutdown` what was begun is finished.
    ///
    /// What comes again because of [`Trouble::NotNow`] is uncounted, whatever the outage's length. If
    /// nothing succeeds any more, what failed before waits with the broker and a few of it try, until
    /// one succeeds; a fresh message is always tried once.
    ///
    /// # Errors
    /// `Invalid` or `Protocol`; outages are waited out.
    pub async fn consume<H, F>(
        &self,
        options: SubscribeOptions,
        shutdown: impl Future<Output = ()>,
        handle: H,
    ) -> Result<()>
    where
        H: Fn(Received<M>) -> F,
        F: Future<Output = Handled>,
    {
        tokio::pin!(shutdown);
        let inbox = tokio::select! {
            inbox = self.subscribe(options) => inbox?,
            () = &mut shutdown => return Ok(()),
        };
        let worker = Worker::new(&inbox, &self.name, options);
        let mut working = FuturesUnordered::new();
        loop {
            let room = working.len() < options.prefetch as usize;
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(()) = working.next() => {}
                next = inbox.next(), if room => working.push(worker.work(next?, &handle)),
            }
        }
        while working.next().await.is_some() {}
        Ok(())
    }
}

/// A subscription to a topic of `M`.
pub struct Inbox<M> {
    pub(crate) subscription: Box<dyn Subscription>,
    of: PhantomData<fn() -> M>,
}

impl<M: DeserializeOwned> Inbox<M> {
    /// The next message. One that is not JSON of `M` is given up and passed over.
    ///
    /// # Errors
    /// As `Subscription::next`.
    pub async fn next(&self) -> Result<Received<M>> {
        loop {
            let delivery = self.subscription.next().await?;
            match serde_json::from_slice(&delivery.message.payload) {
                Ok(value) => return Ok(received(delivery, value)),
                Err(error) => self.refuse(&delivery.receipt, &error).await,
            }
        }
    }

    /// Ends a delivery.
    ///
    /// # Errors
    /// As `Subscription::settle`.
    pub async fn settle(&self, receipt: &Receipt, how: Settle) -> Result<()> {
        self.subscription.settle(receipt, how).await
    }

    async fn refuse(&self, receipt: &Receipt, error: &serde_json::Error) {
        // If this is lost, the message comes again and is refused again.
        let _ =
            self.settle(receipt, Settle::Reject(format!("not the expected JSON: {error}"))).await;
    }
}

fn received<M>(delivery: Delivery, value: M) -> Received<M> {
    let Delivery { receipt, message: Message { key, headers, .. }, .. } = delivery;
    let Delivery { attempt, redelivered, published_us, lease, .. } = delivery;
    Received { receipt, key, headers, attempt, redelivered, published_us, lease, value }
}

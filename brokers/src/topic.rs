//! A topic whose messages are JSON of one type, and the loop that consumes it.
//!
//! It knows the port, not who answers it.

use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::{
    Backoff, Broker, Delivery, Error, Message, Receipt, Result, SubscribeOptions, Subscription,
};

/// A heartbeat every third of a lease: two may be lost.
const HEARTBEATS_PER_LEASE: u32 = 3;
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
    /// How long the lease lasts.
    pub lease: Duration,
    /// The content.
    pub value: M,
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

    /// Begins to consume, for callers that settle by themselves.
    ///
    /// # Errors
    /// As `Broker::subscribe`.
    pub async fn subscribe(&self, options: SubscribeOptions) -> Result<Inbox<M>> {
        let subscription = self.broker.subscribe(&self.name, options).await?;
        Ok(Inbox { subscription, of: PhantomData })
    }

    /// Handles messages until `shutdown`, up to `prefetch` at once: acks when the handler returns
    /// `Ok`, nacks with its text otherwise, and extends the lease while it works. A handler whose
    /// lease is lost is dropped where it stands. After `shutdown` what was begun is finished.
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
        F: Future<Output = std::result::Result<(), String>>,
    {
        tokio::pin!(shutdown);
        let inbox = tokio::select! {
            inbox = self.subscribe_patiently(options) => inbox?,
            () = &mut shutdown => return Ok(()),
        };
        let mut working = FuturesUnordered::new();
        loop {
            let room = working.len() < options.prefetch as usize;
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(()) = working.next() => {}
                next = inbox.next(), if room => working.push(inbox.work(next?, &handle)),
            }
        }
        while working.next().await.is_some() {}
        Ok(())
    }

    async fn subscribe_patiently(&self, options: SubscribeOptions) -> Result<Inbox<M>> {
        for attempt in 1.. {
            match self.subscribe(options).await {
                Err(Error::Unavailable(_)) => sleep(RETRY.delay(attempt)).await,
                decided => return decided,
            }
        }
        Err(Error::Unavailable("gave up".to_owned()))
    }
}

/// A subscription to a topic of `M`.
pub struct Inbox<M> {
    subscription: Box<dyn Subscription>,
    of: PhantomData<fn() -> M>,
}

impl<M: DeserializeOwned> Inbox<M> {
    /// The next message. One that is not JSON of `M` is nacked and passed over.
    ///
    /// # Errors
    /// As `Subscription::next`.
    pub async fn next(&self) -> Result<Received<M>> {
        loop {
            let delivery = self.subscription.next().await?;
            match serde_json::from_slice(&delivery.message.payload) {
                Ok(value) => return Ok(received(delivery, value)),
                Err(error) => self.refuse(delivery.receipt, &error).await,
            }
        }
    }

    /// The work is done.
    ///
    /// # Errors
    /// As `Subscription::ack`.
    pub async fn ack(&self, receipt: Receipt) -> Result<()> {
        self.subscription.ack(receipt).await
    }

    /// The work failed.
    ///
    /// # Errors
    /// As `Subscription::nack`.
    pub async fn nack(&self, receipt: Receipt, error: &str) -> Result<()> {
        self.subscription.nack(receipt, error).await
    }

    /// The work goes on.
    ///
    /// # Errors
    /// As `Subscription::extend`.
    pub async fn extend(&self, receipt: Receipt) -> Result<()> {
        self.subscription.extend(receipt).await
    }

    async fn refuse(&self, receipt: Receipt, error: &serde_json::Error) {
        // A nack that is lost costs one lease; the attempt is counted either way.
        let _ = self.nack(receipt, &format!("not the expected JSON: {error}")).await;
    }

    async fn work<H, F>(&self, received: Received<M>, handle: &H)
    where
        H: Fn(Received<M>) -> F,
        F: Future<Output = std::result::Result<(), String>>,
    {
        let (receipt, lease) = (received.receipt, received.lease);
        let outcome = tokio::select! {
            outcome = handle(received) => outcome,
            () = self.keep(receipt, lease) => return,
        };
        // A settlement that is refused or lost means that the message comes again.
        let _ = match outcome {
            Ok(()) => self.ack(receipt).await,
            Err(text) => self.nack(receipt, &text).await,
        };
    }

    /// Extends the lease; returns when it is lost, or when four fifths of it have passed unheard.
    async fn keep(&self, receipt: Receipt, lease: Duration) {
        let mut sure_until = Instant::now() + lease * 4 / 5;
        while Instant::now() < sure_until {
            let beat = Instant::now() + lease / HEARTBEATS_PER_LEASE;
            sleep_until(beat.min(sure_until)).await;
            let asked = Instant::now();
            match timeout_at(sure_until, self.extend(receipt)).await {
                Ok(Ok(())) => sure_until = asked + lease * 4 / 5,
                Ok(Err(Error::Unavailable(_))) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

fn received<M>(delivery: Delivery, value: M) -> Received<M> {
    let Delivery { receipt, message: Message { key, headers, .. }, lease, .. } = delivery;
    Received { receipt, key, headers, lease, value }
}

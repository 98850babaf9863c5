//! A topic whose messages are JSON of one type, and the loop that consumes it.
//!
//! It knows the port, not who answers it.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
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
        let receipt = received.receipt;
        let lease = Lease::new(received.lease);
        let outcome = tokio::select! {
            () = self.keep(receipt, &lease) => return,
            outcome = lease.guard(unpanicked(handle(received))) => match outcome {
                Some(outcome) => outcome,
                None => return,
            },
        };
        // A settlement that is refused or lost means that the message comes again.
        let _ = match outcome {
            Ok(()) => {
                let acked = self.ack(receipt).await;
                crash_point::reach(crash_point::ACKED);
                acked
            }
            Err(text) => self.nack(receipt, &text).await,
        };
    }

    /// Extends the lease; returns when it is lost, or when four fifths of it have passed unheard.
    async fn keep(&self, receipt: Receipt, lease: &Lease) {
        while !lease.is_in_doubt() {
            let beat = Instant::now() + lease.lasts / HEARTBEATS_PER_LEASE;
            sleep_until(beat.min(lease.sure_until())).await;
            let asked = Instant::now();
            match timeout_at(lease.sure_until(), self.extend(receipt)).await {
                Ok(Ok(())) => lease.renewed(asked),
                Ok(Err(Error::Unavailable(_))) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

/// How long a delivery certainly belongs to this consumer.
struct Lease {
    lasts: Duration,
    sure_until: Mutex<Instant>,
}

impl Lease {
    fn new(lasts: Duration) -> Self {
        Self { lasts, sure_until: Mutex::new(Instant::now() + lasts * 4 / 5) }
    }

    fn renewed(&self, at: Instant) {
        *self.sure_until.lock().unwrap_or_else(PoisonError::into_inner) = at + self.lasts * 4 / 5;
    }

    fn sure_until(&self) -> Instant {
        *self.sure_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_in_doubt(&self) -> bool {
        Instant::now() >= self.sure_until()
    }

    /// Works only while the lease is sure: none if it is not when the work could go on. A process
    /// that was stopped and wakes hears of its sockets before its timers tell it the time.
    async fn guard<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match self.is_in_doubt() {
            true => Poll::Ready(None),
            false => work.as_mut().poll(context).map(Some),
        })
        .await
    }
}

/// A handler that panics has failed like one that returns an error: the others go on.
async fn unpanicked<F>(handler: F) -> std::result::Result<(), String>
where
    F: Future<Output = std::result::Result<(), String>>,
{
    let caught = AssertUnwindSafe(handler).catch_unwind().await;
    caught.unwrap_or_else(|_| Err("the handler panicked".to_owned()))
}

fn received<M>(delivery: Delivery, value: M) -> Received<M> {
    let Delivery { receipt, message: Message { key, headers, .. }, lease, .. } = delivery;
    Received { receipt, key, headers, lease, value }
}

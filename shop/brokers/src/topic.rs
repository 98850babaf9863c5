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

use crate::inbox::{Handled, Inbox, Received};
use crate::worker::Worker;
use crate::{Backoff, Broker, Error, Message, Result, SubscribeOptions};

/// How fast a consumer tries to subscribe again.
const RETRY: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(2) };

/// A topic of `M`.
pub struct Topic<M> {
    broker: Arc<dyn Broker>,
    name: String,
    of: PhantomData<fn(M) -> M>,
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
        let key = key.to_owned();
        let message = Message { key, ordering: None, payload: payload.into(), headers };
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
                Ok(subscription) => return Ok(Inbox::new(subscription)),
                Err(Error::Unavailable(_)) => attempt += 1,
                Err(error) => return Err(error),
            }
            sleep(RETRY.delay(attempt)).await;
        }
    }

    /// Handles messages until `shutdown`, up to `prefetch` at once, and extends the lease while it
    /// works. What the handler returns says what becomes of the message (see [`crate::Trouble`]). A handler
    /// whose lease is lost is dropped where it stands. After `shutdown` what was begun is finished.
    ///
    /// What comes again because of [`crate::Trouble::NotNow`] is uncounted, whatever the outage's length. If
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

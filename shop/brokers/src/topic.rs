//! A topic whose messages are JSON of one type, and the loop that consumes it.
//!
//! It knows the port, not who answers it.

use std::collections::{BTreeMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
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
        M: Clone,
        H: Fn(Received<M>) -> F,
        F: Future<Output = Handled>,
    {
        let one_by_one = |batch: Vec<Received<M>>| {
            let work = batch.into_iter().map(&handle);
            join_all(work)
        };
        self.consume_batches(options, 1, shutdown, one_by_one).await
    }

    /// As `consume`, but up to `most` messages that are there are worked on together: none is waited for, and
    /// what was delivered before is worked on alone. The handler says of each, in their sequence, what becomes of
    /// it. One that fails among others is worked on once more, alone, and what comes of that counts.
    ///
    /// # Errors
    /// As `consume`.
    pub async fn consume_batches<H, F>(
        &self,
        options: SubscribeOptions,
        most: usize,
        shutdown: impl Future<Output = ()>,
        handle: H,
    ) -> Result<()>
    where
        M: Clone,
        H: Fn(Vec<Received<M>>) -> F,
        F: Future<Output = Vec<Handled>>,
    {
        tokio::pin!(shutdown);
        let inbox = tokio::select! {
            inbox = self.subscribe(options) => inbox?,
            () = &mut shutdown => return Ok(()),
        };
        let worker = Worker::new(&inbox, &self.name, options);
        let (mut working, mut refusing) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut room = options.prefetch as usize;
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(count) = working.next() => room += count,
                Some(()) = refusing.next() => {}
                next = inbox.next_batch(most.clamp(1, room.max(1))), if room > 0 => {
                    let (batch, unread) = next?;
                    room -= batch.len();
                    refusing.extend(unread.into_iter().map(|unread| inbox.refuse(unread)));
                    working.extend(parts(batch).map(|part| worker.work(part, &handle)));
                }
            }
        }
        while working.next().await.is_some() {}
        while refusing.next().await.is_some() {}
        Ok(())
    }
}

/// What is fresh together; what was delivered before, which may be what others are to be kept from, each alone.
fn parts<M>(batch: Vec<Received<M>>) -> impl Iterator<Item = Vec<Received<M>>> {
    let (again, fresh): (Vec<_>, Vec<_>) = batch.into_iter().partition(|one| one.redelivered);
    let fresh = Some(fresh).filter(|fresh| !fresh.is_empty());
    fresh.into_iter().chain(again.into_iter().map(|one| vec![one]))
}

//! One subscription to a topic: messages as values, and what their handling may come to. It knows neither
//! the loop that consumes nor who publishes.

use std::collections::BTreeMap;
use std::iter::{from_fn, once};
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{Delivery, Error, Message, Micros, Receipt, Result, Settle, Subscription};

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
    /// From when on it is counted.
    pub since: Instant,
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

/// A subscription to a topic of `M`.
pub struct Inbox<M> {
    pub(crate) subscription: Box<dyn Subscription>,
    of: PhantomData<fn() -> M>,
}

impl<M: DeserializeOwned> Inbox<M> {
    pub(crate) fn new(subscription: Box<dyn Subscription>) -> Self {
        Self { subscription, of: PhantomData }
    }

    /// The next message. One that is not JSON of `M` is given up and passed over.
    ///
    /// # Errors
    /// As `Subscription::next`.
    pub async fn next(&self) -> Result<Received<M>> {
        loop {
            match read(self.subscription.next().await?) {
                Ok(received) => return Ok(received),
                Err(unread) => self.refuse(unread).await,
            }
        }
    }

    /// The next message and what more is there without waiting, `most` together at the most; those that are
    /// not JSON of `M` apart.
    ///
    /// # Errors
    /// As `Subscription::next`.
    pub(crate) async fn next_batch(&self, most: usize) -> Result<(Vec<Received<M>>, Vec<Unread>)> {
        let first = self.subscription.next().await?;
        // What is taken from here on is not given back: nothing is waited for.
        let (mut batch, mut unread) = (Vec::with_capacity(1), Vec::new());
        let further = from_fn(|| self.subscription.next().now_or_never()?.ok());
        for delivery in once(first).chain(further).take(most) {
            match read(delivery) {
                Ok(received) => batch.push(received),
                Err(bad) => unread.push(bad),
            }
        }
        Ok((batch, unread))
    }

    /// Ends a delivery.
    ///
    /// # Errors
    /// As `Subscription::settle`.
    pub async fn settle(&self, receipt: &Receipt, how: Settle) -> Result<()> {
        self.subscription.settle(receipt, how).await
    }

    /// Gives up a message that cannot be read.
    pub(crate) async fn refuse(&self, Unread { receipt, error }: Unread) {
        // If this is lost, the message comes again and is refused again.
        let _ =
            self.settle(&receipt, Settle::Reject(format!("not the expected JSON: {error}"))).await;
    }
}

/// A delivery that is not the expected JSON.
pub(crate) struct Unread {
    receipt: Receipt,
    error: serde_json::Error,
}

fn read<M: DeserializeOwned>(delivery: Delivery) -> std::result::Result<Received<M>, Unread> {
    match serde_json::from_slice(&delivery.message.payload) {
        Ok(value) => Ok(received(delivery, value)),
        Err(error) => Err(Unread { receipt: delivery.receipt, error }),
    }
}

fn received<M>(delivery: Delivery, value: M) -> Received<M> {
    let Delivery { receipt, message: Message { key, headers, .. }, .. } = delivery;
    let Delivery { attempt, redelivered, published_us, lease, since, .. } = delivery;
    Received { receipt, key, headers, attempt, redelivered, published_us, lease, since, value }
}

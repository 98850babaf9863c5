//! One subscription to a topic: messages as values, and what their handling may come to. It knows neither
//! the loop that consumes nor who publishes.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;

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

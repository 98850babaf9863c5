//! The port: what a broker is to those who publish and consume. It names no technology.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::lease::heartbeat;
use crate::{Error, Result};

/// Bytes that keys, payload and headers of a message may have together.
pub(crate) const MESSAGE_MAX: usize = 48 * 1024;
const TOPIC_NAME_MAX: usize = 128;
/// Bytes of an error text that are kept with a message.
const ERROR_TEXT_MAX: usize = 1_024;
/// Deliveries that one subscription may hold unsettled.
pub(crate) const PREFETCH_MAX: u32 = 4_096;

/// Microseconds since the Unix epoch, UTC.
pub type Micros = i64;

/// What is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The idempotency key of what the message asks for; kept through retries, death and replay.
    pub key: String,
    /// What must stay in sequence has one word in common: a broker that shares a topic out among queues
    /// keeps messages of one word in one of them. None: in no sequence with others. It says nothing of
    /// repetitions, as the key says nothing of sequence.
    pub ordering: Option<String>,
    /// The content.
    pub payload: Bytes,
    /// Names and values that travel along, such as `traceparent`.
    pub headers: BTreeMap<String, String>,
}

/// Names one delivery of one message to the broker that made it; every settlement is fenced by it.
/// What is in it is the broker's business. Never used again, not even by a broker that lost its data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Receipt(pub(crate) Bytes);

/// A message that belongs to a consumer until it is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// To settle it with.
    pub receipt: Receipt,
    /// What was published.
    pub message: Message,
    /// Which attempt this is, deferred ones apart; the first is 1. None if this broker cannot count.
    pub attempt: Option<u32>,
    /// Whether it was delivered before, whatever came of it.
    pub redelivered: bool,
    /// When it was published, by the broker's clock.
    pub published_us: Micros,
    /// How long it belongs to the consumer from the claim, and again from each extension. None: until
    /// the consumer goes away.
    pub lease: Option<Duration>,
    /// When it was claimed, by the consumer's own clock: this instant or a later one, as far as the
    /// adapter can know. From here on a consumer counts its lease.
    #[serde(skip, default = "Instant::now")]
    pub since: Instant,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settle {
    /// The work is done: the message is forgotten, durably.
    Ack,
    /// Not now: delivered again after this delay (of a year at most), and not counted as an attempt.
    Defer(Duration),
    /// The work failed by itself: delivered again after the backoff, or given up after so many
    /// attempts.
    Fail(String),
    /// The work can never succeed: given up at once.
    Reject(String),
}

/// Messages of a topic, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// To be delivered now.
    pub ready: u64,
    /// To be delivered when their backoff is over.
    pub delayed: u64,
    /// With a consumer.
    pub leased: u64,
    /// Given up.
    pub dead: u64,
}

/// A message that failed as often as it may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number, or else its place among the dead letters of its topic: it grows with their age.
    pub id: i64,
    /// What was published.
    pub message: Message,
    /// How often it failed.
    pub attempts: u32,
    /// Why each attempt failed.
    pub errors: Vec<Failure>,
    /// When it was published.
    pub published_us: Micros,
    /// When it was given up.
    pub died_us: Micros,
}

/// Why one attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which attempt.
    pub attempt: u32,
    /// When the broker learnt of it.
    pub at_us: Micros,
    /// What the consumer said, or that its lease ended; cut at 1 KiB.
    pub text: String,
}

/// How to subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Deliveries that may be unsettled at once, 1 to 4,096: the window. A message belongs to the
    /// consumer from the moment it is claimed, even while it waits for `next`.
    pub prefetch: u32,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self { prefetch: 16 }
    }
}

/// Durable queues by topic. A message that was never delivered comes in the order of publication;
/// one that comes again comes at its due time, behind all that was published before that instant.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Stores a message; returned means durable. Errors: `Full`, `Invalid`, `Unavailable`.
    async fn publish(&self, topic: &str, message: Message) -> Result<()>;
    /// Begins to consume. Errors: `Invalid`, `Unavailable`.
    async fn subscribe(
        &self,
        topic: &str,
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>>;
    /// How many messages a topic holds.
    async fn depth(&self, topic: &str) -> Result<Depth>;
    /// Which of these keys a message carries that the topic holds and has not given up. None if this
    /// broker cannot look messages up by their keys.
    async fn holds(&self, topic: &str, keys: &[String]) -> Result<Option<HashSet<String>>>;
    /// At most `limit` dead letters, oldest first.
    async fn dead(&self, topic: &str, limit: u32) -> Result<Vec<DeadLetter>>;
    /// Puts at most `limit` dead letters, oldest first, back at the end of the queue with their
    /// keys and no attempts; returns how many. Never more than the topic's bound leaves room for.
    async fn replay(&self, topic: &str, limit: u32) -> Result<u64>;
}

/// One consumer of a topic. Dropping it gives its unsettled deliveries back at once, uncounted; that
/// its process ends without that is counted as a failure of each.
#[async_trait]
pub trait Subscription: Send + Sync {
    /// Waits for the next delivery; may be cancelled without losing one. Waits through outages.
    ///
    /// Of a window, redelivered messages take half at most, so that fresh ones are never kept from
    /// their turn; those that have failed more than once take fewer, and in the end one: what ends
    /// its consumer takes few others along.
    async fn next(&self) -> Result<Delivery>;
    /// Ends a delivery. Errors: `Fenced`, `Unavailable`.
    async fn settle(&self, receipt: &Receipt, how: Settle) -> Result<()>;
    /// The work goes on: the lease lasts anew from now. Errors: `Fenced`, `Unavailable`.
    async fn extend(&self, receipt: &Receipt) -> Result<()>;
    /// Lets redelivered messages take this many places of the window from now on, instead of half;
    /// one at least. Errors: `Unavailable`; then it holds from the next connection on.
    async fn limit_retries(&self, places: u32) -> Result<()>;
    /// The work is done.
    async fn ack(&self, receipt: &Receipt) -> Result<()> {
        self.settle(receipt, Settle::Ack).await
    }
}

impl Delivery {
    /// Whether it may have waited so long, in a socket or a window, that its consumer would have asked about it by now.
    pub(crate) fn is_stale(&self) -> bool {
        self.lease.is_some_and(|lease| self.since.elapsed() >= heartbeat(lease))
    }
}

impl Message {
    pub(crate) fn size(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let ordering = self.ordering.as_ref().map_or(0, String::len);
        self.key.len() + ordering + self.payload.len() + headers
    }

    pub(crate) fn check(&self) -> Result<()> {
        let size = self.size();
        if size <= MESSAGE_MAX {
            return Ok(());
        }
        Err(Error::Invalid(format!("a message of {size} bytes; at most {MESSAGE_MAX} are carried")))
    }
}

impl SubscribeOptions {
    /// The places that redelivered messages may take of the window: half, but one at least.
    #[must_use]
    pub fn retries(self) -> u32 {
        (self.prefetch / 2).max(1)
    }

    pub(crate) fn check(self) -> Result<()> {
        if (1..=PREFETCH_MAX).contains(&self.prefetch) {
            return Ok(());
        }
        let found = self.prefetch;
        Err(Error::Invalid(format!("prefetch is {found}; expected 1 to {PREFETCH_MAX}")))
    }
}

pub(crate) fn check_topic(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !name.is_empty() && name.len() <= TOPIC_NAME_MAX && name.chars().all(plain) {
        return Ok(());
    }
    let rule = format!("1 to {TOPIC_NAME_MAX} of letters, digits, `.`, `-`, `_`");
    Err(Error::Invalid(format!("topic name {name:?}; expected {rule}")))
}

pub(crate) fn error_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(ERROR_TEXT_MAX)]
}

pub(crate) fn micros(span: Duration) -> Micros {
    i64::try_from(span.as_micros()).unwrap_or(Micros::MAX)
}

//! What an engine must do for a broker to be made of it: keep bodies in queues, hand them out under a lease,
//! take them back. It knows no message: what all brokers promise beyond this is supplied (`supplied.rs`).

#[cfg(test)]
#[cfg(any(
    feature = "kafka",
    feature = "nats",
    feature = "postgres",
    feature = "rabbitmq",
    feature = "redis"
))]
pub(crate) mod rig;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Result, Settings};

/// Names one delivery to the engine that made it; what is in it is the engine's business.
pub(crate) type Handle = Bytes;

/// A body that belongs to who took it until it is forgotten or its lease ends.
pub(crate) struct Taken {
    /// To end the delivery with.
    pub(crate) handle: Handle,
    /// What was appended.
    pub(crate) body: Bytes,
    /// None for the first delivery; else for how long at least nothing was heard of who had it before. Said to be
    /// longer than it was, a delivery that failed would not be counted.
    pub(crate) silent: Option<Duration>,
}

/// How many bodies some queues may have together.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) most: u64,
    pub(crate) queues: Vec<String>,
}

/// Bodies of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// With nobody.
    pub(crate) waiting: u64,
    /// With somebody.
    pub(crate) taken: u64,
}

/// Queues of bodies. Each operation may fail with `Unavailable`, and then may have had an effect.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// Makes sure that a queue is there, with these settings as far as the engine keeps them.
    async fn declare(&self, queue: &str, settings: &Settings) -> Result<()>;
    /// Adds a body at the end, unless the bound is reached; tells whether it did. Returned means durable.
    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool>;
    /// Begins to consume a queue that is declared: what is taken belongs to this source for so long.
    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>>;
    /// How many bodies there are.
    async fn count(&self, queue: &str) -> Result<Count>;
    /// The oldest bodies, which stay where they are.
    async fn look(&self, queue: &str, limit: u32) -> Result<Vec<Bytes>>;
}

/// One consumer of a queue. What it holds when it is dropped comes again when its lease ends.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// Takes so many bodies at most, what was lost by others first, then the oldest; waits for the first
    /// of them for so long at most. A call that is dropped may have taken some.
    async fn take(&self, most: u32, wait: Duration) -> Result<Vec<Taken>>;
    /// Forgets a body, durably. Errors: `Fenced`.
    async fn forget(&self, handle: &Handle) -> Result<()>;
    /// Forgets a body and adds another to a queue, whatever its bound: both or none. An engine that cannot
    /// adds first, so that nothing is lost. Errors: `Fenced`.
    async fn forward(&self, handle: &Handle, queue: &str, body: Bytes) -> Result<()>;
    /// Lets leases last anew; tells of each whether it was still held.
    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>>;
}

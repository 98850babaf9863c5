//! Customers are told what became of their orders: a signed POST to the order's callback URL, once at least
//! and not before the order is final. It does not know how it is posted, nor who has it posted.

mod signature;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use crate::{Error, Follower, Micros, Number, OrderId, OrderStatus, Result, Settled, now_us};

pub use signature::Signer;

/// How long a receiver may be away: what cannot be delivered for longer is given up.
pub const DELIVERED_WITHIN: Micros = 24 * 3_600 * 1_000_000;

/// The way to customers' own servers.
#[async_trait]
pub trait Callbacks: Send + Sync {
    /// Posts this JSON under this signature. Errors: `Invalid` if it will never be taken (the URL may not be
    /// called, or the receiver says so); any other if it may be another time.
    async fn post(&self, url: &str, body: String, signature: &str) -> Result<()>;
}

/// A notification that nobody will take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The order's key.
    pub key: String,
    /// Why the last attempt failed.
    pub error: String,
    /// When it was given up.
    pub at: Micros,
}

/// Where notifications are remembered that were given up. Returned means durable.
#[async_trait]
pub trait GivenUpStore: Send + Sync {
    /// Adds one; a second of its key changes nothing.
    async fn give_up(&self, given_up: GivenUp) -> Result<()>;
    /// At most `limit` with numbers above `after`, lowest first.
    async fn given_up(&self, after: Number, limit: u32) -> Result<Vec<(Number, GivenUp)>>;
}

/// What a receiver reads.
#[derive(Serialize)]
struct Notice<'a> {
    id: OrderId,
    key: &'a str,
    status: OrderStatus,
    total_cents: i64,
    charge_id: Option<&'a str>,
    settled_at: Micros,
}

impl<'a> Notice<'a> {
    fn of(settled: &'a Settled) -> Self {
        Self {
            id: settled.id,
            key: &settled.key,
            status: settled.status,
            total_cents: settled.total_cents,
            charge_id: settled.charge_id.as_deref(),
            settled_at: settled.settled_at,
        }
    }
}

/// Notifications over a way to the customers and a memory of what was given up.
pub struct NotificationService {
    callbacks: Arc<dyn Callbacks>,
    store: Arc<dyn GivenUpStore>,
    signer: Signer,
}

impl NotificationService {
    /// The service over these parts.
    #[must_use]
    pub fn new(
        callbacks: Arc<dyn Callbacks>,
        store: Arc<dyn GivenUpStore>,
        signer: Signer,
    ) -> Self {
        Self { callbacks, store, signer }
    }

    async fn give_up(&self, settled: &Settled, error: &Error, at: Micros) -> Result<()> {
        let key = settled.key.clone();
        self.store.give_up(GivenUp { key, error: error.to_string(), at }).await
    }
}

#[async_trait]
impl Follower for NotificationService {
    /// One attempt. Whoever told is told in turn whether it has to be tried again.
    async fn tell(&self, settled: &Settled) -> Result<()> {
        let Some(url) = &settled.callback_url else { return Ok(()) };
        let body = serde_json::to_string(&Notice::of(settled))
            .map_err(|e| Error::Internal(format!("a notice of {}: {e}", settled.key)))?;
        let now = now_us();
        let signature = self.signer.sign(now / 1_000_000, &body);
        match self.callbacks.post(url, body, &signature).await {
            Err(error) if is_in_vain(&error, now.saturating_sub(settled.settled_at)) => {
                self.give_up(settled, &error, now).await
            }
            posted => posted,
        }
    }
}

/// Whether there is no use in trying again, so long after the order became final.
fn is_in_vain(error: &Error, since: Micros) -> bool {
    matches!(error, Error::Invalid(_)) || since > DELIVERED_WITHIN
}

#[cfg(test)]
mod tests;

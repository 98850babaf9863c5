//! The payments port, answered later: the charge is in the outbox already, by the order's own
//! transaction.

use std::sync::Arc;

use async_trait::async_trait;
use shop::{Charge, Charged, Handover, Payments, Result};
use tokio::sync::Notify;

/// Payments on the other side of the outbox.
pub struct Queued {
    relay: Arc<Notify>,
    outbox_max: u64,
}

impl Queued {
    /// Wakes `relay` for every charge; no more than `outbox_max` may wait for it.
    #[must_use]
    pub fn new(relay: Arc<Notify>, outbox_max: u64) -> Self {
        Self { relay, outbox_max }
    }
}

#[async_trait]
impl Payments for Queued {
    async fn charge(&self, _in_the_outbox: Charge) -> Result<Charged> {
        self.relay.notify_one();
        Ok(Charged::Later)
    }

    fn handover(&self) -> Handover {
        Handover::Outbox { most: self.outbox_max }
    }
}

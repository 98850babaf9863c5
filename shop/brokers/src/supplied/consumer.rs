//! One subscription, as its user sees it: hands out what its feeds have taken, within its window.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::feed;
use super::shared::Shared;
use crate::window::wait;
use crate::{Delivery, Error, Receipt, Result, Settle, Subscription};

/// A subscription; its feeds run until it is dropped.
pub(super) struct Consumer {
    shared: Arc<Shared>,
}

impl Consumer {
    pub(super) fn begin(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        tokio::spawn(feed::run(Arc::clone(&shared)));
        Self { shared }
    }
}

#[async_trait]
impl Subscription for Consumer {
    async fn next(&self) -> Result<Delivery> {
        loop {
            let changed = self.shared.changed.notified();
            match self.shared.hand_out() {
                Ok(delivery) => return Ok(delivery),
                Err(until) => wait(changed, until).await,
            }
        }
    }

    async fn settle(&self, receipt: &Receipt, how: Settle) -> Result<()> {
        let (claim, held) = self.shared.held(receipt)?;
        let outcome = self.shared.settle(&held, how).await;
        // What did not reach the engine may be tried again.
        if matches!(outcome, Ok(()) | Err(Error::Fenced)) {
            self.shared.ended(claim);
        }
        outcome
    }

    async fn extend(&self, receipt: &Receipt) -> Result<()> {
        let (claim, held) = self.shared.held(receipt)?;
        let (asked, lease) = (Instant::now(), self.shared.settings.lease);
        let handles = std::slice::from_ref(&held.handle);
        let extended = self.shared.source(held.origin).extend(handles).await?;
        if extended != [true] {
            self.shared.ended(claim);
            return Err(Error::Fenced);
        }
        self.shared.pool().extended(claim.id, asked + lease);
        self.shared.window.extended(claim, lease);
        Ok(())
    }

    async fn limit_retries(&self, places: u32) -> Result<()> {
        self.shared.window.limit_retries(places);
        self.shared.changed.notify_waiters();
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}

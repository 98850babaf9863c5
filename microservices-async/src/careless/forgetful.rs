//! The memory of payments that has none.

use std::sync::Arc;

use async_trait::async_trait;
use shop::{PaymentStore, Result, Settlement};

/// Finds nothing that was recorded.
pub(super) struct Forgetful(pub(super) Arc<dyn PaymentStore>);

#[async_trait]
impl PaymentStore for Forgetful {
    async fn find(&self, _: &str) -> Result<Option<Settlement>> {
        Ok(None)
    }

    async fn record(&self, settlement: Settlement) -> Result<Settlement> {
        self.0.record(settlement).await
    }
}

//! Cancellations by message, on the way of charges: payments says what stands.

use std::sync::Arc;

use async_trait::async_trait;
use shop::{Charge, Charged, Error, Handover, Payments, Result};

use crate::way::Way;

/// Payments, told of cancellations when the broker has them durably.
pub(crate) struct Cancelling {
    pub(crate) charging: Arc<dyn Payments>,
    pub(crate) way: Way,
}

#[async_trait]
impl Payments for Cancelling {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        self.charging.charge(charge).await
    }

    async fn cancel(&self, charge: Charge) -> Result<Charged> {
        let published = self.way.cancel(charge).await;
        published.map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(Charged::Later)
    }

    fn handover(&self) -> Handover {
        self.charging.handover()
    }
}

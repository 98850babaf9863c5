//! The payments port, answered later, without an outbox: the charge is published when its order is durable, by
//! nobody else and at no other time.

use std::sync::Arc;

use async_trait::async_trait;
use shop::{Charge, Charged, Error, Handover, Payments, Result, Tasks};

use crate::way::Way;

/// Payments on the other side of a queue that is trusted.
pub(super) struct Straight {
    pub(super) charges: Way,
    /// Where what nobody waits for is published.
    pub(super) publishing: Arc<Tasks>,
    /// Whether the broker is waited for.
    pub(super) confirmed: bool,
}

#[async_trait]
impl Payments for Straight {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        crash_point::reach(crash_point::BEFORE_PUBLISH);
        let published = publish(self.charges.clone(), charge);
        if self.confirmed {
            published.await?;
        } else {
            self.publishing.begin(async move {
                if let Err(error) = published.await {
                    process_log::tell("charge-lost", || [("error", error.to_string().into())]);
                }
            })?;
        }
        Ok(Charged::Later)
    }

    fn handover(&self) -> Handover {
        Handover::Direct
    }
}

async fn publish(charges: Way, charge: Charge) -> Result<()> {
    let published = charges.publish(&[charge]).await.into_iter().collect();
    let published: brokers::Result<()> = published;
    published.map_err(|error| Error::Unavailable(error.to_string()))
}

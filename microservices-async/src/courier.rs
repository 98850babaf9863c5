//! Who carries charges to payments and settlements back: the outbox, and the topics of a broker.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use brokers::Topic;
use shop::{Charge, Courier, Error, Outbox, Result, Settlement};

use crate::way::Way;

/// Charges published together: they share the broker's commits.
pub(crate) const BATCH: u32 = 256;

/// The way of a charge and of what became of it.
pub(crate) struct Messages {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) charges: Way,
    pub(crate) settlements: Topic<Settlement>,
}

#[async_trait]
impl Courier for Messages {
    /// Asked along the way: what has left one place before it was asked is in the next.
    async fn carries(&self, keys: &[String]) -> Result<Option<HashSet<String>>> {
        let waiting = self.outbox.unsent(BATCH).await?;
        if waiting.len() == BATCH as usize {
            return Err(Error::Busy("the relay is behind".to_owned()));
        }
        let waiting: HashSet<String> = waiting.into_iter().map(|(_, charge)| charge.key).collect();
        let charges = self.charges.holds(keys).await.map_err(down)?;
        let settlements = self.settlements.holds(keys).await.map_err(down)?;
        let (Some(charges), Some(settlements)) = (charges, settlements) else { return Ok(None) };
        let way = [waiting, charges, settlements];
        Ok(Some(keys.iter().filter(|key| way.iter().any(|p| p.contains(*key))).cloned().collect()))
    }

    async fn take(&self, charges: Vec<Charge>) -> Result<()> {
        for part in charges.chunks(BATCH as usize) {
            let published = self.charges.publish(part).await;
            published.into_iter().collect::<std::result::Result<(), _>>().map_err(down)?;
        }
        Ok(())
    }
}

fn down(error: brokers::Error) -> Error {
    Error::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests;

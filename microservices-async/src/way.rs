//! The way of charges to payments: straight, or by the inventory, which reserves what their orders need.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use brokers::{Broker, Error, Result, Topic};
use futures_util::future::join_all;
use shop::{Charge, Events, Wanted};

use crate::broker::{CANCELLATIONS, CHARGES};

/// What is to be reserved, from orders to the inventory.
pub(crate) const RESERVATIONS: &str = "reservations";

/// Where charges are published.
#[derive(Clone)]
pub(crate) struct Way {
    charges: Topic<Charge>,
    cancellations: Topic<Charge>,
    inventory: Option<(Arc<dyn Events>, Topic<Wanted>)>,
}

impl Way {
    /// To payments at this broker; by the inventory, if there are events that know what was ordered.
    pub(crate) fn new(broker: &Arc<dyn Broker>, inventory: Option<Arc<dyn Events>>) -> Self {
        let wanted = Topic::new(Arc::clone(broker), RESERVATIONS);
        let inventory = inventory.map(|events| (events, wanted));
        let topic = |name| Topic::new(Arc::clone(broker), name);
        Self { charges: topic(CHARGES), cancellations: topic(CANCELLATIONS), inventory }
    }

    /// Publishes that this is not to be charged any more, on the same way.
    pub(crate) async fn cancel(&self, charge: Charge) -> Result<()> {
        let (key, headers) = (charge.key.clone(), BTreeMap::new());
        let Some((events, wanted)) = &self.inventory else {
            return self.cancellations.publish(&key, headers, &charge).await;
        };
        let found = events.items(vec![key.clone()]).await;
        let found = found.map_err(|error| Error::Unavailable(error.to_string()))?;
        let items = found.into_iter().next().unwrap_or_default();
        wanted.publish(&key, headers, &Wanted { charge, items, cancels: true }).await
    }

    /// Publishes charges at once; tells of each whether it is in durable hands.
    pub(crate) async fn publish(&self, charges: &[Charge]) -> Vec<Result<()>> {
        let Some((events, wanted)) = &self.inventory else {
            let published = charges
                .iter()
                .map(|charge| self.charges.publish(&charge.key, BTreeMap::new(), charge));
            return join_all(published).await;
        };
        let keys = charges.iter().map(|charge| charge.key.clone()).collect();
        let items = match events.items(keys).await {
            Ok(items) => items,
            Err(error) => {
                let down = || Err(Error::Unavailable(error.to_string()));
                return charges.iter().map(|_| down()).collect();
            }
        };
        let published = charges.iter().zip(items).map(async |(charge, items)| {
            let value = Wanted { charge: charge.clone(), items, cancels: false };
            wanted.publish(&charge.key, BTreeMap::new(), &value).await
        });
        join_all(published).await
    }

    /// Which of these keys are on their way, as `Broker::holds`.
    pub(crate) async fn holds(&self, keys: &[String]) -> Result<Option<HashSet<String>>> {
        let mut all = HashSet::new();
        if let Some((_, wanted)) = &self.inventory {
            let Some(held) = wanted.holds(keys).await? else { return Ok(None) };
            all.extend(held);
        }
        let Some(held) = self.charges.holds(keys).await? else { return Ok(None) };
        all.extend(held);
        Ok(Some(all))
    }
}

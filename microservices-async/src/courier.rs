//! Who carries charges to payments and settlements back: the outbox, and the topics of a broker.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use brokers::Topic;
use futures_util::future::join_all;
use shop::{Charge, Courier, Error, Outbox, Result, Settlement};

/// Charges published together: they share the broker's commits.
pub(crate) const BATCH: u32 = 256;

/// The way of a charge and of what became of it.
pub(crate) struct Messages {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) charges: Topic<Charge>,
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
            let published = publish(&self.charges, part.iter()).await;
            published.into_iter().collect::<std::result::Result<(), _>>().map_err(down)?;
        }
        Ok(())
    }
}

/// Publishes charges at once; tells of each whether it is in durable hands.
pub(crate) async fn publish<'a>(
    topic: &Topic<Charge>,
    charges: impl Iterator<Item = &'a Charge>,
) -> Vec<brokers::Result<()>> {
    let published =
        charges.map(|charge| async { topic.publish(&charge.key, BTreeMap::new(), charge).await });
    join_all(published).await
}

fn down(error: brokers::Error) -> Error {
    Error::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use brokers::channel::Channel;
    use brokers::{Broker, Settings, Settle, SubscribeOptions};
    use shop::{Handover, Order, OrderId, OrderStatus, UserId, Verdict};
    use stores::Stores;

    use super::*;
    use crate::consume::{CHARGES, SETTLEMENTS};

    fn charge(key: &str) -> Charge {
        Charge { key: key.to_owned(), amount_cents: 100, card: "card".to_owned() }
    }

    fn order(key: &str) -> Order {
        Order {
            id: OrderId(uuid::Uuid::now_v7()),
            key: key.to_owned(),
            customer: UserId(uuid::Uuid::nil()),
            fingerprint: String::new(),
            items: Vec::new(),
            total_cents: 100,
            card: Some("card".to_owned()),
            status: OrderStatus::Pending,
            charge_id: None,
            created_at: 0,
            settled_at: None,
        }
    }

    fn way() -> (Messages, Stores) {
        let broker: Arc<dyn Broker> = Arc::new(Channel::new(Settings::default()));
        let stores = stores::open("memory:").unwrap();
        let messages = Messages {
            outbox: Arc::clone(&stores.outbox),
            charges: Topic::new(Arc::clone(&broker), CHARGES),
            settlements: Topic::new(broker, SETTLEMENTS),
        };
        (messages, stores)
    }

    #[tokio::test]
    async fn a_charge_is_carried_from_the_outbox_to_its_settlement() {
        let (messages, stores) = way();
        let keys: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let outbox = Handover::Outbox { most: 10 };
        stores.orders.insert(order("a"), outbox).await.unwrap();
        messages.take(vec![charge("b"), charge("d")]).await.unwrap();
        let verdict = Verdict::Declined;
        let settlement = Settlement { key: "c".to_owned(), amount_cents: 100, verdict };
        messages.settlements.publish("c", BTreeMap::new(), &settlement).await.unwrap();
        let inbox = messages.charges.subscribe(SubscribeOptions::default()).await.unwrap();
        let _taken = inbox.next().await.unwrap();
        let given_up = inbox.next().await.unwrap();
        inbox.settle(&given_up.receipt, Settle::Reject("no".to_owned())).await.unwrap();
        let carried = messages.carries(&keys).await.unwrap().unwrap();
        assert_eq!(carried, ["a", "b", "c"].map(str::to_owned).into());
    }

    #[tokio::test]
    async fn a_relay_that_is_behind_is_left_alone() {
        let (messages, stores) = way();
        for n in 0..BATCH {
            let outbox = Handover::Outbox { most: 1_000 };
            stores.orders.insert(order(&n.to_string()), outbox).await.unwrap();
        }
        let answer = messages.carries(&["x".to_owned()]).await;
        assert!(matches!(answer, Err(Error::Busy(_))), "{answer:?}");
    }
}

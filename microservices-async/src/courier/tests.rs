//! What is on its way, wherever along the way it is.

use brokers::channel::Channel;
use brokers::{Broker, Settings, Settle, SubscribeOptions};
use shop::{Handover, Order, OrderId, OrderStatus, UserId, Verdict};
use stores::Stores;

use std::collections::BTreeMap;

use super::*;
use crate::broker::{CHARGES, SETTLEMENTS};

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
        reason: None,
        created_at: 0,
        settled_at: None,
    }
}

fn way() -> (Messages, Stores, Arc<dyn Broker>) {
    let broker: Arc<dyn Broker> = Arc::new(Channel::new(Settings::default()));
    let stores = stores::open("memory:").unwrap();
    let messages = Messages {
        outbox: Arc::clone(&stores.outbox),
        charges: Way::new(&broker, None),
        settlements: Topic::new(Arc::clone(&broker), SETTLEMENTS),
    };
    (messages, stores, broker)
}

#[tokio::test]
async fn a_charge_is_carried_from_the_outbox_to_its_settlement() {
    let (messages, stores, broker) = way();
    let keys: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let outbox = Handover::Outbox { most: 10 };
    stores.orders.insert(order("a"), outbox).await.unwrap();
    messages.take(vec![charge("b"), charge("d")]).await.unwrap();
    let verdict = Verdict::Declined;
    let settlement = Settlement { key: "c".to_owned(), amount_cents: 100, verdict };
    messages.settlements.publish("c", BTreeMap::new(), &settlement).await.unwrap();
    let charges: Topic<Charge> = Topic::new(Arc::clone(&broker), CHARGES);
    let inbox = charges.subscribe(SubscribeOptions::default()).await.unwrap();
    let _taken = inbox.next().await.unwrap();
    let given_up = inbox.next().await.unwrap();
    inbox.settle(&given_up.receipt, Settle::Reject("no".to_owned())).await.unwrap();
    let carried = messages.carries(&keys).await.unwrap().unwrap();
    assert_eq!(carried, ["a", "b", "c"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_relay_that_is_behind_is_left_alone() {
    let (messages, stores, _) = way();
    for n in 0..BATCH {
        let outbox = Handover::Outbox { most: 1_000 };
        stores.orders.insert(order(&n.to_string()), outbox).await.unwrap();
    }
    let answer = messages.carries(&["x".to_owned()]).await;
    assert!(matches!(answer, Err(Error::Busy(_))), "{answer:?}");
}

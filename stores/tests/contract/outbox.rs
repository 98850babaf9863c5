//! Charges to be handed over.

use shop::{Charge, Handover, Order, Placed};
use stores::Stores;

use crate::sample::{customer, order, race};

async fn owe(stores: &Stores, ordered: &Order) -> Placed {
    stores.orders.insert(ordered.clone(), Handover::Outbox).await.unwrap()
}

async fn unsent(stores: &Stores) -> Vec<(i64, Charge)> {
    stores.outbox.unsent(1_000).await.unwrap()
}

pub(crate) async fn only_a_handover_by_outbox_leaves_a_row(stores: Stores) {
    let (direct, by_outbox) = (order(customer(1)), order(customer(1)));
    stores.orders.insert(direct.clone(), Handover::Direct).await.unwrap();
    assert_eq!(unsent(&stores).await, []);
    assert_eq!(owe(&stores, &direct).await, Placed::Existing(direct));
    assert_eq!(stores.outbox.depth().await, Ok(0));
    assert_eq!(owe(&stores, &by_outbox).await, Placed::New(by_outbox.clone()));
    let [(_, charge)] = &unsent(&stores).await[..] else { panic!("not one row") };
    assert_eq!(Some(charge), by_outbox.charge().as_ref());
    assert_eq!(stores.outbox.depth().await, Ok(1));
}

pub(crate) async fn a_key_leaves_one_row(stores: Stores) {
    race(|_| {
        let stores = stores.clone();
        let mut asked = order(customer(1));
        "the same key".clone_into(&mut asked.key);
        async move { owe(&stores, &asked).await }
    })
    .await;
    let [(number, charge)] = &unsent(&stores).await[..] else { panic!("not one row") };
    assert_eq!(charge.key, "the same key");
    stores.outbox.sent(vec![*number]).await.unwrap();
    let mut asked = order(customer(1));
    "the same key".clone_into(&mut asked.key);
    owe(&stores, &asked).await;
    assert_eq!(unsent(&stores).await, [], "a repetition owes nothing more");
}

pub(crate) async fn rows_come_oldest_first(stores: Stores) {
    let mut orders: Vec<_> = (0..5).map(|_| order(customer(1))).collect();
    orders.reverse(); // inserted in another order than that of their ids
    for ordered in &orders {
        owe(&stores, ordered).await;
    }
    let charges: Vec<_> = orders.iter().filter_map(Order::charge).collect();
    for limit in 0..7 {
        let rows = stores.outbox.unsent(limit).await.unwrap();
        let found: Vec<_> = rows.into_iter().map(|(_, charge)| charge).collect();
        assert_eq!(found, charges[..5.min(limit as usize)], "at most {limit}");
    }
}

pub(crate) async fn rows_vanish_when_sent(stores: Stores) {
    for _ in 0..5 {
        owe(&stores, &order(customer(1))).await;
    }
    let rows = unsent(&stores).await;
    let numbers = [rows[0].0, rows[3].0];
    for _ in 0..2 {
        stores.outbox.sent(numbers.to_vec()).await.unwrap(); // twice does no more than once
        let left: Vec<_> =
            rows.iter().filter(|(number, _)| !numbers.contains(number)).cloned().collect();
        assert_eq!(unsent(&stores).await, left);
        assert_eq!(stores.outbox.depth().await, Ok(3));
    }
    stores.outbox.sent(vec![]).await.unwrap();
    stores.outbox.sent(vec![i64::MAX]).await.unwrap();
    assert_eq!(stores.outbox.depth().await, Ok(3));
}

/// Two relays may send the same row; the slower one must not forget the row of another order.
pub(crate) async fn a_number_is_never_given_again(stores: Stores) {
    owe(&stores, &order(customer(1))).await;
    let (number, _) = unsent(&stores).await[0];
    stores.outbox.sent(vec![number]).await.unwrap();
    owe(&stores, &order(customer(1))).await;
    stores.outbox.sent(vec![number]).await.unwrap();
    assert_eq!(stores.outbox.depth().await, Ok(1));
}

//! Charges to be handed over.

use std::time::Duration;

use shop::{Backlog, Charge, Error, Handover, Order, Placed};
use stores::Stores;

use crate::sample::{OUTBOX, customer, order, race};

async fn owe(stores: &Stores, ordered: &Order) -> Placed {
    stores.orders.insert(ordered.clone(), OUTBOX).await.unwrap()
}

async fn unsent(stores: &Stores) -> Vec<(i64, Charge)> {
    stores.outbox.unsent(1_000).await.unwrap()
}

async fn depth(stores: &Stores) -> u64 {
    stores.outbox.backlog().await.unwrap().charges
}

pub(crate) async fn only_a_handover_by_outbox_leaves_a_row(stores: Stores) {
    let (direct, by_outbox) = (order(customer(1)), order(customer(1)));
    stores.orders.insert(direct.clone(), Handover::Direct).await.unwrap();
    assert_eq!(unsent(&stores).await, []);
    assert_eq!(owe(&stores, &direct).await, Placed::Existing(direct));
    assert_eq!(depth(&stores).await, 0);
    assert_eq!(owe(&stores, &by_outbox).await, Placed::New(by_outbox.clone()));
    let [(_, charge)] = &unsent(&stores).await[..] else { panic!("not one row") };
    assert_eq!(Some(charge), by_outbox.charge().as_ref());
    assert_eq!(depth(&stores).await, 1);
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
        assert_eq!(depth(&stores).await, 3);
    }
    stores.outbox.sent(vec![]).await.unwrap();
    stores.outbox.sent(vec![i64::MAX]).await.unwrap();
    assert_eq!(depth(&stores).await, 3);
}

pub(crate) async fn what_was_let_go_is_claimed_again(stores: Stores) {
    let span = Duration::from_secs(60);
    for _ in 0..5 {
        owe(&stores, &order(customer(1))).await;
    }
    let rows = unsent(&stores).await;
    let claimed = stores.outbox.claim(0, 3, span).await.unwrap();
    assert_eq!(claimed, rows[..3]);
    assert_eq!(unsent(&stores).await, rows, "what is claimed is not handed over");
    stores.outbox.sent(vec![rows[0].0]).await.unwrap();
    stores.outbox.let_go(vec![rows[1].0, rows[2].0]).await.unwrap();
    assert_eq!(stores.outbox.claim(rows[2].0, 9, span).await.unwrap(), rows[3..]);
    stores.outbox.let_go(vec![rows[3].0, rows[4].0]).await.unwrap();
    assert_eq!(stores.outbox.claim(0, 9, span).await.unwrap(), rows[1..]);
}

/// Two relays may send the same row; the slower one must not forget the row of another order.
pub(crate) async fn a_number_is_never_given_again(stores: Stores) {
    owe(&stores, &order(customer(1))).await;
    let (number, _) = unsent(&stores).await[0];
    stores.outbox.sent(vec![number]).await.unwrap();
    owe(&stores, &order(customer(1))).await;
    stores.outbox.sent(vec![number]).await.unwrap();
    assert_eq!(depth(&stores).await, 1);
}

pub(crate) async fn a_full_outbox_refuses_what_would_add_to_it(stores: Stores) {
    let most = Handover::Outbox { most: 2 };
    let orders: Vec<_> = (0..3).map(|_| order(customer(1))).collect();
    for ordered in &orders[..2] {
        let placed = stores.orders.insert(ordered.clone(), most).await;
        assert_eq!(placed, Ok(Placed::New(ordered.clone())));
    }
    let refused = stores.orders.insert(orders[2].clone(), most).await;
    assert!(matches!(&refused, Err(Error::Busy(text)) if text.contains("2 charges wait")));
    let repeated = stores.orders.insert(orders[0].clone(), most).await;
    assert_eq!(repeated, Ok(Placed::Existing(orders[0].clone())), "what is there is told");
    let direct = order(customer(1));
    let placed = stores.orders.insert(direct.clone(), Handover::Direct).await;
    assert_eq!(placed, Ok(Placed::New(direct)));
    let (number, _) = unsent(&stores).await[0];
    for _ in 0..2 {
        stores.outbox.sent(vec![number]).await.unwrap();
    }
    let placed = stores.orders.insert(orders[2].clone(), most).await;
    assert_eq!(placed, Ok(Placed::New(orders[2].clone())), "nothing of it was left");
    let refused = stores.orders.insert(order(customer(1)), most).await;
    assert!(matches!(refused, Err(Error::Busy(_))), "forgetting a row twice makes room once");
}

pub(crate) async fn a_backlog_is_as_old_as_its_first_order(stores: Stores) {
    assert_eq!(stores.outbox.backlog().await, Ok(Backlog::default()));
    let orders: Vec<_> =
        (0..3).map(|n| Order { created_at: 1_000 + n, ..order(customer(1)) }).collect();
    for ordered in &orders {
        owe(&stores, ordered).await;
    }
    let backlog = stores.outbox.backlog().await;
    assert_eq!(backlog, Ok(Backlog { charges: 3, oldest: Some(1_000) }));
    let (number, _) = unsent(&stores).await[0];
    stores.outbox.sent(vec![number]).await.unwrap();
    let backlog = stores.outbox.backlog().await;
    assert_eq!(backlog, Ok(Backlog { charges: 2, oldest: Some(1_001) }));
}

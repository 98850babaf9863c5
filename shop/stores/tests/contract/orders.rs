//! Orders, one at a time.

use shop::{Error, Handover, Order, OrderId, OrderStatus, Placed, Reader, Reason};
use stores::Stores;
use uuid::Uuid;

use crate::sample::{
    OUTBOX, RACERS, customer, declined, everything, insert, order, out_of_stock, paid, race,
};

async fn read(stores: &Stores, id: OrderId) -> Order {
    stores.orders.get(Reader::Operator, id).await.unwrap().unwrap()
}

pub(crate) async fn an_order_is_read_back_as_it_was(stores: Stores) {
    let ordered = order(customer(1));
    insert(&stores, &ordered).await;
    for reader in [Reader::Operator, Reader::Customer(customer(1))] {
        assert_eq!(stores.orders.get(reader, ordered.id).await, Ok(Some(ordered.clone())));
        assert_eq!(everything(&stores, reader).await, std::slice::from_ref(&ordered));
    }
    let pending = stores.orders.pending(0..i64::MAX, 10).await.unwrap();
    assert_eq!(pending.orders, [(1, ordered)]);
}

pub(crate) async fn a_key_has_one_order(stores: Stores) {
    let results = race(|n| {
        let orders = stores.orders.clone();
        let mut asked = order(customer(n as u128));
        "the same key".clone_into(&mut asked.key);
        async move { orders.insert(asked, Handover::Direct).await.unwrap() }
    })
    .await;
    let new: Vec<_> = results.iter().filter(|r| matches!(r, Placed::New(_))).collect();
    let [Placed::New(winner)] = new[..] else { panic!("{} are new", new.len()) };
    let existing = results.iter().filter(|r| **r == Placed::Existing(winner.clone())).count();
    assert_eq!(existing, RACERS - 1);
    assert_eq!(everything(&stores, Reader::Operator).await, std::slice::from_ref(winner));
}

pub(crate) async fn a_repetition_finds_the_order_as_it_stands(stores: Stores) {
    let ordered = order(customer(1));
    insert(&stores, &ordered).await;
    let settled = stores.orders.settle(paid(&ordered.key, "ch-1"), 7).await.unwrap();
    let again = stores.orders.insert(ordered, Handover::Direct).await.unwrap();
    assert_eq!(again, Placed::Existing(settled));
}

pub(crate) async fn an_insertion_that_fails_leaves_nothing(stores: Stores) {
    let first = order(customer(1));
    insert(&stores, &first).await;
    let same_id = Order { id: first.id, ..order(customer(2)) };
    let refused = stores.orders.insert(same_id.clone(), OUTBOX).await;
    assert!(matches!(refused, Err(Error::Internal(_))), "{refused:?}");
    assert_eq!(read(&stores, first.id).await, first);
    assert_eq!(stores.outbox.backlog().await.unwrap().charges, 0);
    let fresh_id = Order { id: OrderId(Uuid::now_v7()), ..same_id };
    insert(&stores, &fresh_id).await; // its key was not used up
}

pub(crate) async fn settling_pays_once_and_forgets_the_card(stores: Stores) {
    let (ordered, other) = (order(customer(1)), order(customer(1)));
    insert(&stores, &ordered).await;
    insert(&stores, &other).await;
    let expected = Order {
        status: OrderStatus::Paid,
        charge_id: Some("ch-1".to_owned()),
        settled_at: Some(7),
        card: None,
        ..ordered.clone()
    };
    let key = &ordered.key;
    for (settlement, at) in [
        (paid(key, "ch-1"), 7),
        (paid(key, "ch-1"), 8),
        (paid(key, "ch-2"), 9),
        (declined(key), 10),
    ] {
        assert_eq!(stores.orders.settle(settlement, at).await.as_ref(), Ok(&expected));
        assert_eq!(read(&stores, ordered.id).await, expected);
    }
    assert_eq!(read(&stores, other.id).await, other, "its neighbour is untouched");
}

pub(crate) async fn settling_declines_once_and_forgets_the_card(stores: Stores) {
    let ordered = order(customer(1));
    insert(&stores, &ordered).await;
    let expected =
        Order { status: OrderStatus::Declined, settled_at: Some(7), card: None, ..ordered.clone() };
    let key = &ordered.key;
    for (settlement, at) in [(declined(key), 7), (declined(key), 8), (paid(key, "ch-1"), 9)] {
        assert_eq!(stores.orders.settle(settlement, at).await.as_ref(), Ok(&expected));
        assert_eq!(read(&stores, ordered.id).await, expected);
    }
}

pub(crate) async fn what_is_out_of_stock_is_declined_for_it(stores: Stores) {
    let ordered = order(customer(1));
    insert(&stores, &ordered).await;
    let expected = Order {
        status: OrderStatus::Declined,
        reason: Some(Reason::OutOfStock),
        settled_at: Some(7),
        card: None,
        ..ordered.clone()
    };
    let key = &ordered.key;
    for (settlement, at) in [(out_of_stock(key), 7), (declined(key), 8), (paid(key, "ch-1"), 9)] {
        assert_eq!(stores.orders.settle(settlement, at).await.as_ref(), Ok(&expected));
        assert_eq!(read(&stores, ordered.id).await, expected);
    }
}

pub(crate) async fn several_settle_as_each_alone(stores: Stores) {
    let all = [1, 1, 2, 2, 3].map(|n| order(customer(n)));
    for ordered in &all {
        insert(&stores, ordered).await;
    }
    let [one, two, three, four, other] = &all;
    stores.orders.settle(declined(&four.key), 6).await.unwrap();
    let settlements = vec![
        paid(&one.key, "ch-1"),
        declined(&two.key),
        paid("no such key", "ch-2"),
        out_of_stock(&three.key),
        paid(&four.key, "ch-4"),
        paid(&one.key, "ch-1"),
    ];
    let settled = stores.orders.settle_all(settlements, 7).await;
    let ended = |order: &Order, status, at| Order {
        status,
        settled_at: Some(at),
        card: None,
        ..order.clone()
    };
    let first = Order { charge_id: Some("ch-1".to_owned()), ..ended(one, OrderStatus::Paid, 7) };
    let lacking = Some(Reason::OutOfStock);
    let expected = [
        Ok(first.clone()),
        Ok(ended(two, OrderStatus::Declined, 7)),
        Err(Error::NotFound),
        Ok(Order { reason: lacking, ..ended(three, OrderStatus::Declined, 7) }),
        Ok(ended(four, OrderStatus::Declined, 6)),
        Ok(first),
    ];
    assert_eq!(settled, expected);
    for order in expected.iter().flatten() {
        assert_eq!(read(&stores, order.id).await, *order);
    }
    assert_eq!(read(&stores, other.id).await, *other, "their neighbour is untouched");
    assert_eq!(stores.orders.settle_all(Vec::new(), 7).await, []);
}

pub(crate) async fn concurrent_settlements_agree(stores: Stores) {
    let ordered = order(customer(1));
    insert(&stores, &ordered).await;
    let results = race(|n| {
        let (orders, key) = (stores.orders.clone(), ordered.key.clone());
        let settlement = if n % 2 == 0 { paid(&key, &format!("ch-{n}")) } else { declined(&key) };
        async move { orders.settle(settlement, n as i64 + 1).await.unwrap() }
    })
    .await;
    let stands = read(&stores, ordered.id).await;
    assert_ne!(stands.status, OrderStatus::Pending);
    assert!(results.iter().all(|r| *r == stands), "{results:#?}");
}

pub(crate) async fn what_was_not_ordered_cannot_settle(stores: Stores) {
    insert(&stores, &order(customer(1))).await;
    for settlement in [paid("no such key", "ch-1"), declined("no such key")] {
        assert_eq!(stores.orders.settle(settlement, 7).await, Err(Error::NotFound));
    }
}

pub(crate) async fn a_stranger_sees_nothing(stores: Stores) {
    let (anns, bobs) = (order(customer(1)), order(customer(2)));
    insert(&stores, &anns).await;
    insert(&stores, &bobs).await;
    let (ann, stranger) = (Reader::Customer(customer(1)), Reader::Customer(customer(3)));
    assert_eq!(stores.orders.get(ann, bobs.id).await, Ok(None));
    assert_eq!(everything(&stores, ann).await, std::slice::from_ref(&anns));
    assert_eq!(stores.orders.get(stranger, anns.id).await, Ok(None));
    assert_eq!(everything(&stores, stranger).await, []);
    let nobody = OrderId(Uuid::now_v7());
    assert_eq!(stores.orders.get(Reader::Operator, nobody).await, Ok(None));
    assert_eq!(everything(&stores, Reader::Operator).await, [anns, bobs]);
}

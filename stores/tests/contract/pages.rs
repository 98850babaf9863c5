//! Orders, many at a time.

use shop::{Order, OrderId, Reader};
use stores::Stores;
use uuid::Uuid;

use crate::sample::{customer, declined, insert, order, paid};

const ORDERS: usize = 50;

/// Orders of two customers in turns; returned in order of id, inserted in another.
async fn fill(stores: &Stores) -> Vec<Order> {
    let mut orders: Vec<_> = (0..ORDERS).map(|n| order(customer(n as u128 % 2))).collect();
    for start in [1, 0] {
        for ordered in orders.iter().skip(start).step_by(2).rev() {
            insert(stores, ordered).await;
        }
    }
    orders.sort_by_key(|o| o.id);
    orders
}

async fn walk(stores: &Stores, reader: Reader, limit: u32) -> Vec<Order> {
    let (mut seen, mut after) = (Vec::new(), None);
    while seen.len() <= ORDERS {
        let page = stores.orders.list(reader, after, limit).await.unwrap();
        assert!(page.len() <= limit as usize, "{} on a page of {limit}", page.len());
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page);
    }
    seen
}

pub(crate) async fn pages_visit_each_order_once(stores: Stores) {
    let all = fill(&stores).await;
    let own: Vec<_> = all.iter().filter(|o| o.customer == customer(1)).cloned().collect();
    assert_eq!(own.len(), ORDERS / 2);
    for limit in [1, 7, 25, 50, 1_000] {
        assert_eq!(walk(&stores, Reader::Operator, limit).await, all, "pages of {limit}");
        assert_eq!(walk(&stores, Reader::Customer(customer(1)), limit).await, own);
    }
}

pub(crate) async fn a_page_begins_after_any_id(stores: Stores) {
    let all = fill(&stores).await;
    let reader = Reader::Customer(customer(1));
    // another's order, one that never was, and the highest there can be
    let others = all.iter().position(|o| o.customer == customer(0) && o.id > all[20].id).unwrap();
    let next = all[others..].iter().find(|o| o.customer == customer(1)).cloned();
    let page = stores.orders.list(reader, Some(all[others].id), 1).await.unwrap();
    assert_eq!(page.first(), next.as_ref());
    let between = OrderId(Uuid::from_u128(all[30].id.0.as_u128() + 1));
    let page = stores.orders.list(Reader::Operator, Some(between), 1).await.unwrap();
    assert_eq!(page, [all[31].clone()]);
    let last = OrderId(Uuid::max());
    assert_eq!(stores.orders.list(Reader::Operator, Some(last), 1).await, Ok(vec![]));
}

pub(crate) async fn an_empty_store_has_no_pages(stores: Stores) {
    assert_eq!(stores.orders.list(Reader::Operator, None, 10).await, Ok(vec![]));
    assert_eq!(stores.orders.list(Reader::Customer(customer(1)), None, 10).await, Ok(vec![]));
    assert_eq!(stores.orders.pending(0..i64::MAX, 10).await, Ok(vec![]));
}

/// Orders created at these instants; their ids are in the order of the slice.
async fn created_at<const N: usize>(stores: &Stores, instants: [i64; N]) -> [Order; N] {
    let orders = instants.map(|created_at| Order { created_at, ..order(customer(1)) });
    for ordered in orders.iter().rev() {
        insert(stores, ordered).await;
    }
    orders
}

pub(crate) async fn pending_orders_come_oldest_first(stores: Stores) {
    let [c, a, b] = created_at(&stores, [30, 10, 20]).await;
    let oldest_first = [a, b, c];
    for limit in 0..5 {
        let found = stores.orders.pending(0..i64::MAX, limit).await.unwrap();
        assert_eq!(found, oldest_first[..3.min(limit as usize)], "at most {limit}");
    }
}

pub(crate) async fn pending_orders_are_of_the_time_asked_for(stores: Stores) {
    let [a, b, _] = created_at(&stores, [10, 20, 30]).await;
    let pending = async |created| stores.orders.pending(created, 9).await.unwrap();
    assert_eq!(pending(0..10).await, []);
    assert_eq!(pending(0..11).await, std::slice::from_ref(&a));
    assert_eq!(pending(0..30).await, [a.clone(), b.clone()], "created before the end, not at");
    assert_eq!(pending(10..30).await, [a, b.clone()], "created at the beginning");
    assert_eq!(pending(11..30).await, [b]);
    assert_eq!(pending(21..21).await, []);
}

pub(crate) async fn settled_orders_are_not_pending(stores: Stores) {
    let [a, b, c] = created_at(&stores, [10, 20, 30]).await;
    stores.orders.settle(paid(&a.key, "ch-1"), 40).await.unwrap();
    stores.orders.settle(declined(&b.key), 40).await.unwrap();
    assert_eq!(stores.orders.pending(0..i64::MAX, 9).await, Ok(vec![c]));
}

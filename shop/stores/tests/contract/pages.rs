//! Orders, many at a time.

use std::time::Duration;

use shop::{Error, Listed, Most, Order, OrderId, Pending, Reader};
use stores::Stores;
use uuid::Uuid;

use crate::sample::{customer, declined, insert, order, paid};

const ORDERS: usize = 50;

/// Orders of two customers in turns, in the sequence of their insertion, which is not that of their ids
/// and creation.
async fn fill(stores: &Stores) -> Vec<Order> {
    let mut orders: Vec<_> = (0..ORDERS).map(|n| order(customer(n as u128 % 2))).collect();
    orders.reverse();
    orders[ORDERS / 2..].reverse();
    for ordered in &orders {
        insert(stores, ordered).await;
    }
    orders
}

async fn list(stores: &Stores, reader: Reader, after: Option<OrderId>, most: u32) -> Listed {
    let most = Most { orders: most, bytes: usize::MAX };
    stores.orders.list(reader, after, most).await.unwrap()
}

async fn walk(stores: &Stores, reader: Reader, limit: u32) -> Vec<Order> {
    let (mut seen, mut after) = (Vec::new(), None);
    while seen.len() <= ORDERS {
        let page = list(stores, reader, after, limit).await;
        assert!(page.orders.len() <= limit as usize, "{} on a page of {limit}", page.orders.len());
        seen.extend(page.orders);
        if !page.more {
            break;
        }
        after = seen.last().map(|order| order.id);
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

pub(crate) async fn a_page_begins_after_an_order_of_the_listing(stores: Stores) {
    let all = fill(&stores).await;
    let page = list(&stores, Reader::Operator, Some(all[30].id), 2).await;
    assert_eq!((page.orders, page.more), (all[31..33].to_vec(), true));
    let page = list(&stores, Reader::Operator, Some(all[ORDERS - 1].id), 1).await;
    assert_eq!((page.orders, page.more), (vec![], false));
    let most = Most { orders: 1, bytes: usize::MAX };
    let anns = Reader::Customer(customer(1));
    let bobs = all.iter().find(|o| o.customer == customer(0)).unwrap().id;
    for (reader, after) in [(anns, bobs), (Reader::Operator, OrderId(Uuid::max()))] {
        assert_eq!(stores.orders.list(reader, Some(after), most).await, Err(Error::NotFound));
    }
}

pub(crate) async fn a_page_ends_when_its_items_have_so_many_bytes(stores: Stores) {
    let all = fill(&stores).await;
    let each = serde_json::to_vec(&all[0].items).unwrap().len();
    for (bytes, expected) in [(0, 1), (1, 1), (each, 1), (each + 1, 2), (each * 7, 7)] {
        let most = Most { orders: 1_000, bytes };
        let page = stores.orders.list(Reader::Operator, None, most).await.unwrap();
        assert_eq!(
            (page.orders.len(), page.more),
            (expected, true),
            "{bytes} of {each} bytes each"
        );
    }
}

pub(crate) async fn an_empty_store_has_no_pages(stores: Stores) {
    let empty = Listed { orders: vec![], more: false };
    assert_eq!(list(&stores, Reader::Operator, None, 10).await, empty);
    assert_eq!(list(&stores, Reader::Customer(customer(1)), None, 10).await, empty);
    let none = Pending { orders: vec![], newest: 0 };
    assert_eq!(stores.orders.pending(0..i64::MAX, 10).await, Ok(none));
}

/// Three orders, created in another sequence than they are inserted in.
async fn three(stores: &Stores) -> [Order; 3] {
    let orders = [30, 10, 20].map(|created_at| Order { created_at, ..order(customer(1)) });
    for ordered in &orders {
        insert(stores, ordered).await;
    }
    orders
}

pub(crate) async fn pending_orders_come_as_they_were_inserted(stores: Stores) {
    let [a, b, c] = three(&stores).await;
    let numbered = [(1, a), (2, b), (3, c)];
    for limit in 0..5 {
        let found = stores.orders.pending(0..i64::MAX, limit).await.unwrap();
        assert_eq!(found.orders, numbered[..3.min(limit as usize)], "at most {limit}");
        assert_eq!(found.newest, 3);
    }
}

pub(crate) async fn pending_orders_have_the_numbers_asked_for(stores: Stores) {
    let [a, b, _] = three(&stores).await;
    let pending = async |numbers| {
        let found = stores.orders.pending(numbers, 9).await.unwrap();
        found.orders.into_iter().map(|(_, order)| order).collect::<Vec<_>>()
    };
    assert_eq!(pending(0..1).await, []);
    assert_eq!(pending(0..2).await, std::slice::from_ref(&a));
    assert_eq!(pending(0..3).await, [a.clone(), b.clone()], "below the end");
    assert_eq!(pending(1..3).await, [a, b.clone()], "from the beginning");
    assert_eq!(pending(2..3).await, [b]);
    assert_eq!(pending(2..2).await, []);
}

pub(crate) async fn settled_orders_are_not_pending(stores: Stores) {
    let [a, b, c] = three(&stores).await;
    stores.orders.settle(paid(&a.key, "ch-1"), 40).await.unwrap();
    stores.orders.settle(declined(&b.key), 40).await.unwrap();
    let left = Pending { orders: vec![(3, c.clone())], newest: 3 };
    assert_eq!(stores.orders.pending(0..i64::MAX, 9).await, Ok(left));
    stores.orders.settle(declined(&c.key), 40).await.unwrap();
    let none = Pending { orders: vec![], newest: 3 };
    assert_eq!(stores.orders.pending(0..i64::MAX, 9).await, Ok(none));
}

pub(crate) async fn what_a_sweep_has_claimed_is_read_and_settled_as_any_other(stores: Stores) {
    let [a, b, c] = three(&stores).await;
    let span = Duration::from_secs(60);
    let mut claimed = stores.orders.claim(vec![1, 2, 3], span).await.unwrap();
    claimed.sort_unstable();
    assert_eq!(claimed, [1, 2, 3]);
    assert_eq!(stores.orders.claim(vec![], span).await, Ok(vec![]));
    let all = Pending { orders: vec![(1, a.clone()), (2, b.clone()), (3, c.clone())], newest: 3 };
    assert_eq!(stores.orders.pending(0..i64::MAX, 9).await, Ok(all));
    let settled = stores.orders.settle(paid(&a.key, "ch-1"), 40).await.unwrap();
    assert_eq!(settled.charge_id.as_deref(), Some("ch-1"));
    stores.orders.let_go(vec![1, 3]).await.unwrap();
    assert_eq!(stores.orders.claim(vec![3], span).await, Ok(vec![3]), "free again");
    let left = Pending { orders: vec![(2, b), (3, c)], newest: 3 };
    assert_eq!(stores.orders.pending(0..i64::MAX, 9).await, Ok(left));
}

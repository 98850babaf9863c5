//! Stock: what is held, sold and released, by article and by order.

use std::collections::BTreeMap;

use shop::{Error, Reservation, Reserved, Shelf};
use stores::Stores;

use crate::sample::race;

fn quantities(all: &[(&str, u32)]) -> BTreeMap<String, u32> {
    all.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

fn shelf(sku: &str, held: i64, sold: i64, released: i64) -> Shelf {
    Shelf { sku: sku.to_owned(), held, sold, released }
}

async fn shelves(stores: &Stores) -> Vec<Shelf> {
    stores.stock().unwrap().shelves("", 100).await.unwrap()
}

pub(crate) async fn a_reservation_is_held_once_and_ends_once(stores: Stores) {
    let stock = stores.stock().unwrap();
    for _ in 0..2 {
        stock.reserve("a", quantities(&[("cup", 1), ("tea", 2)])).await.unwrap();
    }
    stock.reserve("b", quantities(&[("tea", 5)])).await.unwrap();
    assert_eq!(shelves(&stores).await, [shelf("cup", 1, 0, 0), shelf("tea", 7, 0, 0)]);
    for _ in 0..2 {
        assert_eq!(stock.close("a", Reserved::Sold).await, Ok(Reserved::Sold));
    }
    assert_eq!(stock.close("a", Reserved::Released).await, Ok(Reserved::Sold), "the first stands");
    assert_eq!(stock.close("b", Reserved::Released).await, Ok(Reserved::Released));
    assert_eq!(shelves(&stores).await, [shelf("cup", 0, 1, 0), shelf("tea", 0, 2, 5)]);
    assert_eq!(stock.close("c", Reserved::Sold).await, Err(Error::NotFound));
    stock.reserve("a", quantities(&[("cup", 1)])).await.unwrap();
    assert_eq!(shelves(&stores).await[0], shelf("cup", 0, 1, 0), "what is over is not held again");
}

pub(crate) async fn concurrent_reservations_lose_nothing(stores: Stores) {
    race(|n| {
        let stock = stores.stock().unwrap();
        async move {
            let key = format!("k-{n}");
            stock.reserve(&key, quantities(&[("tea", 3)])).await.unwrap();
            let end = if n % 2 == 0 { Reserved::Sold } else { Reserved::Released };
            stock.close(&key, end).await.unwrap();
            stock.reserve("same", quantities(&[("cup", 1)])).await.unwrap();
        }
    })
    .await;
    assert_eq!(shelves(&stores).await, [shelf("cup", 1, 0, 0), shelf("tea", 0, 48, 48)]);
}

pub(crate) async fn stock_is_listed_page_by_page(stores: Stores) {
    let stock = stores.stock().unwrap();
    for key in ["b", "a", "c"] {
        stock.reserve(key, quantities(&[(key, 2)])).await.unwrap();
    }
    let all = stock.reservations(0, 10).await.unwrap();
    let expected = ["b", "a", "c"].map(|key| Reservation {
        key: key.to_owned(),
        quantities: quantities(&[(key, 2)]),
        state: Reserved::Held,
    });
    let found: Vec<_> = all.iter().map(|(_, reservation)| reservation.clone()).collect();
    assert_eq!(found, expected, "in the order in which they came");
    assert_eq!(stock.reservations(all[0].0, 1).await.unwrap(), all[1..2]);
    let names = |shelves: Vec<Shelf>| shelves.into_iter().map(|s| s.sku).collect::<Vec<_>>();
    assert_eq!(names(stock.shelves("a", 10).await.unwrap()), ["b", "c"]);
    assert_eq!(names(stock.shelves("", 1).await.unwrap()), ["a"]);
}

//! Stock: what is held, sold and released, by article and by order.

use std::collections::BTreeMap;

use shop::{Error, Reservation, Reserved, Shelf};
use stores::Stores;

use crate::sample::race;

fn quantities(all: &[(&str, u32)]) -> BTreeMap<String, u32> {
    all.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

/// The state of what needs these, when of each article there are ten.
async fn of_ten(stores: &Stores, key: &str, needs: &[(&str, u32)]) -> Reserved {
    stores.stock().unwrap().reserve(key, quantities(needs), Some(10)).await.unwrap()
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
        stock.reserve("a", quantities(&[("cup", 1), ("tea", 2)]), None).await.unwrap();
    }
    stock.reserve("b", quantities(&[("tea", 5)]), None).await.unwrap();
    assert_eq!(shelves(&stores).await, [shelf("cup", 1, 0, 0), shelf("tea", 7, 0, 0)]);
    for _ in 0..2 {
        assert_eq!(stock.close("a", Reserved::Sold).await, Ok(Reserved::Sold));
    }
    assert_eq!(stock.close("a", Reserved::Released).await, Ok(Reserved::Sold), "the first stands");
    assert_eq!(stock.close("b", Reserved::Released).await, Ok(Reserved::Released));
    assert_eq!(shelves(&stores).await, [shelf("cup", 0, 1, 0), shelf("tea", 0, 2, 5)]);
    assert_eq!(stock.close("c", Reserved::Sold).await, Err(Error::NotFound));
    stock.reserve("a", quantities(&[("cup", 1)]), None).await.unwrap();
    assert_eq!(shelves(&stores).await[0], shelf("cup", 0, 1, 0), "what is over is not held again");
}

pub(crate) async fn concurrent_reservations_lose_nothing(stores: Stores) {
    race(|n| {
        let stock = stores.stock().unwrap();
        async move {
            let key = format!("k-{n}");
            stock.reserve(&key, quantities(&[("tea", 3)]), None).await.unwrap();
            let end = if n % 2 == 0 { Reserved::Sold } else { Reserved::Released };
            stock.close(&key, end).await.unwrap();
            stock.reserve("same", quantities(&[("cup", 1)]), None).await.unwrap();
        }
    })
    .await;
    assert_eq!(shelves(&stores).await, [shelf("cup", 1, 0, 0), shelf("tea", 0, 48, 48)]);
}

pub(crate) async fn stock_is_listed_page_by_page(stores: Stores) {
    let stock = stores.stock().unwrap();
    for key in ["b", "a", "c"] {
        stock.reserve(key, quantities(&[(key, 2)]), None).await.unwrap();
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

pub(crate) async fn what_is_not_there_is_lacking_once_and_for_all(stores: Stores) {
    let stock = stores.stock().unwrap();
    assert_eq!(of_ten(&stores, "a", &[("cup", 1), ("tea", 8)]).await, Reserved::Held);
    assert_eq!(of_ten(&stores, "b", &[("cup", 1), ("tea", 3)]).await, Reserved::Lacking);
    assert_eq!(of_ten(&stores, "c", &[("pot", 11)]).await, Reserved::Lacking);
    assert_eq!(of_ten(&stores, "d", &[("tea", 2)]).await, Reserved::Held, "up to the last");
    let known = |shelf: &Shelf| (shelf.held, shelf.sold, shelf.released) != (0, 0, 0);
    let all: Vec<Shelf> = shelves(&stores).await.into_iter().filter(known).collect();
    assert_eq!(all, [shelf("cup", 1, 0, 0), shelf("tea", 10, 0, 0)], "all or nothing");
    assert_eq!(stock.close("b", Reserved::Released).await, Ok(Reserved::Lacking));
    assert_eq!(stock.close("a", Reserved::Released).await, Ok(Reserved::Released));
    assert_eq!(stock.close("d", Reserved::Sold).await, Ok(Reserved::Sold));
    for (key, state) in [("a", Reserved::Released), ("b", Reserved::Lacking), ("d", Reserved::Sold)]
    {
        assert_eq!(of_ten(&stores, key, &[("tea", 1)]).await, state, "{key} is known");
    }
    assert_eq!(of_ten(&stores, "e", &[("tea", 9)]).await, Reserved::Lacking, "two are sold");
    assert_eq!(of_ten(&stores, "f", &[("tea", 8)]).await, Reserved::Held, "eight came back");
    let endless = stock.reserve("g", quantities(&[("tea", 500)]), None).await;
    assert_eq!(endless, Ok(Reserved::Held), "a shelf without end");
}

pub(crate) async fn who_races_for_the_last_gets_it_once(stores: Stores) {
    let states = race(|n| {
        let stores = stores.clone();
        let needs = if n % 2 == 0 { [("cup", 1), ("tea", 3)] } else { [("tea", 3), ("cup", 1)] };
        async move { of_ten(&stores, &format!("k-{n}"), &needs).await }
    })
    .await;
    let held = states.iter().filter(|state| **state == Reserved::Held).count();
    assert_eq!((held, states.len()), (3, crate::sample::RACERS), "{states:?}");
    assert_eq!(shelves(&stores).await, [shelf("cup", 3, 0, 0), shelf("tea", 9, 0, 0)]);
}

pub(crate) async fn several_are_reserved_and_ended_as_each_alone(stores: Stores) {
    let stock = stores.stock().unwrap();
    let all = [("a", 6), ("b", 6), ("a", 6), ("c", 4)];
    let all = all.map(|(key, tea)| (key.to_owned(), quantities(&[("tea", tea)])));
    let reserved = stock.reserve_all(all.to_vec(), Some(10)).await;
    let [Ok(a), Ok(b), Ok(again), Ok(c)] = reserved[..] else { panic!("{reserved:?}") };
    assert_eq!(a, again, "a key has one reservation");
    let held =
        [(a, 6), (b, 6), (c, 4)].iter().filter(|(state, _)| *state == Reserved::Held).count();
    // Whoever comes first takes six of ten; only in one commit their sequence is that of the list.
    assert_eq!(held, 2, "{reserved:?}");
    assert_eq!(shelves(&stores).await, [shelf("tea", 10, 0, 0)]);
    let first = if a == Reserved::Held { "a" } else { "b" };
    let ends = [(first, Reserved::Sold), ("nobody's", Reserved::Sold), ("c", Reserved::Released)];
    let ends = ends.map(|(key, end)| (key.to_owned(), end)).to_vec();
    let expected = [Ok(Reserved::Sold), Err(Error::NotFound), Ok(Reserved::Released)];
    assert_eq!(stock.close_all(ends).await, expected);
    assert_eq!(shelves(&stores).await, [shelf("tea", 0, 6, 4)]);
}

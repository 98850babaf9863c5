//! Events that are owed to those who follow orders, and notifications that were given up.

use shop::{GivenUp, Handover, Number, Order, OrderStatus, Placed, Settled};
use stores::Stores;

use crate::sample::{OUTBOX, customer, declined, order, paid, race};

const ALL: std::ops::Range<Number> = 0..Number::MAX;

async fn place(stores: &Stores, url: Option<&str>) -> Order {
    let asked = order(customer(1));
    let events = stores.events().unwrap();
    let url = url.map(str::to_owned);
    let placed = events.insert(asked.clone(), Handover::Direct, url).await;
    assert_eq!(placed, Ok(Placed::New(asked.clone())));
    asked
}

async fn owed(stores: &Stores) -> Vec<Settled> {
    let owed = stores.events().unwrap().owed(ALL, 100).await.unwrap();
    owed.events.into_iter().map(|(_, settled)| settled).collect()
}

pub(crate) async fn a_final_order_owes_its_event_until_it_is_told(stores: Stores) {
    let events = stores.events().unwrap();
    let (one, other) = (place(&stores, Some("http://c/1")).await, place(&stores, None).await);
    assert_eq!(owed(&stores).await, [], "none is final");
    let (order, event) = events.settle(paid(&one.key, "ch-1"), 7).await.unwrap();
    assert_eq!((order.status, order.settled_at), (OrderStatus::Paid, Some(7)));
    let expected = Settled {
        id: one.id,
        key: one.key.clone(),
        status: OrderStatus::Paid,
        total_cents: one.total_cents,
        charge_id: Some("ch-1".to_owned()),
        settled_at: 7,
        callback_url: Some("http://c/1".to_owned()),
    };
    assert_eq!(event.as_ref(), Some(&expected));
    let (_, event) = events.settle(declined(&other.key), 8).await.unwrap();
    let event = event.unwrap();
    assert_eq!((event.status, &event.callback_url), (OrderStatus::Declined, &None));
    assert_eq!(owed(&stores).await, [expected.clone(), event]);
    let again = events.settle(paid(&one.key, "ch-2"), 9).await.unwrap().1;
    assert_eq!(again, Some(expected), "who settles again hears that it is still owed");
    for _ in 0..2 {
        events.told(&one.key).await.unwrap();
        assert_eq!(owed(&stores).await.len(), 1);
    }
    assert_eq!(events.settle(paid(&one.key, "ch-1"), 9).await.unwrap().1, None);
}

pub(crate) async fn several_that_settle_owe_an_event_each(stores: Stores) {
    let events = stores.events().unwrap();
    let (one, other) = (place(&stores, Some("http://c/1")).await, place(&stores, None).await);
    let all = vec![paid(&one.key, "ch-1"), paid("nobody's", "ch-2"), declined(&other.key)];
    let settled = events.settle_all(all, 7).await;
    let [Ok((_, Some(first))), Err(shop::Error::NotFound), Ok((_, Some(last)))] = &settled[..]
    else {
        panic!("{settled:?}")
    };
    assert_eq!(first.callback_url.as_deref(), Some("http://c/1"));
    assert_eq!((last.status, &last.callback_url), (OrderStatus::Declined, &None));
    let mut found = owed(&stores).await;
    found.sort_by_key(|event| event.key != one.key);
    assert_eq!(found, [first.clone(), last.clone()]);
}

pub(crate) async fn what_nobody_follows_owes_nothing(stores: Stores) {
    let asked = order(customer(1));
    stores.orders.insert(asked.clone(), Handover::Direct).await.unwrap();
    stores.orders.settle(paid(&asked.key, "ch-1"), 7).await.unwrap();
    assert_eq!(owed(&stores).await, []);
}

pub(crate) async fn an_insertion_that_others_follow_is_as_any_other(stores: Stores) {
    let events = stores.events().unwrap();
    let asked = order(customer(1));
    let url = Some("http://c/1".to_owned());
    let placed = events.insert(asked.clone(), OUTBOX, url).await;
    assert_eq!(placed, Ok(Placed::New(asked.clone())));
    let again = events.insert(asked.clone(), OUTBOX, Some("http://c/2".to_owned())).await;
    assert_eq!(again, Ok(Placed::Existing(asked.clone())));
    assert_eq!(stores.outbox.backlog().await.unwrap().charges, 1);
    let event = events.settle(paid(&asked.key, "ch-1"), 7).await.unwrap().1.unwrap();
    assert_eq!(event.callback_url.as_deref(), Some("http://c/1"), "the first stands");
    let items = events.items(vec!["nobody's".to_owned(), asked.key.clone()]).await;
    assert_eq!(items, Ok(vec![Vec::new(), asked.items.clone()]));
    let missing = events.settle(paid("nobody's", "ch-1"), 7).await;
    assert_eq!(missing, Err(shop::Error::NotFound));
}

pub(crate) async fn concurrent_settlements_owe_one_event(stores: Stores) {
    let asked = place(&stores, None).await;
    race(|n| {
        let (events, key) = (stores.events().unwrap(), asked.key.clone());
        async move { events.settle(paid(&key, &format!("ch-{n}")), 7).await.unwrap() }
    })
    .await;
    assert_eq!(owed(&stores).await.len(), 1);
}

pub(crate) async fn events_have_the_numbers_asked_for(stores: Stores) {
    let events = stores.events().unwrap();
    assert_eq!(events.owed(ALL, 100).await, Ok(shop::Owed::default()));
    let mut keys = Vec::new();
    for _ in 0..5 {
        let asked = place(&stores, None).await;
        events.settle(paid(&asked.key, "ch-1"), 7).await.unwrap();
        keys.push(asked.key);
    }
    let all = events.owed(ALL, 100).await.unwrap();
    let numbers: Vec<Number> = all.events.iter().map(|(number, _)| *number).collect();
    assert!(numbers.is_sorted() && numbers.len() == 5, "{numbers:?}");
    assert_eq!(all.newest, numbers[4]);
    let some = events.owed(numbers[1]..numbers[4], 2).await.unwrap();
    let found: Vec<&str> = some.events.iter().map(|(_, event)| event.key.as_str()).collect();
    assert_eq!(found, [keys[1].as_str(), keys[2].as_str()]);
    events.told(&keys[4]).await.unwrap();
    let asked = place(&stores, None).await;
    events.settle(paid(&asked.key, "ch-1"), 7).await.unwrap();
    let newest = events.owed(ALL, 100).await.unwrap().newest;
    assert!(newest > numbers[4], "a number was given again");
}

pub(crate) async fn what_is_given_up_is_listed_once(stores: Stores) {
    let store = stores.given_up().unwrap();
    let given_up =
        |key: &str, error: &str| GivenUp { key: key.to_owned(), error: error.to_owned(), at: 7 };
    for (key, error) in [("a", "410"), ("b", "404"), ("a", "later")] {
        store.give_up(given_up(key, error)).await.unwrap();
    }
    let all = store.given_up(0, 10).await.unwrap();
    let found: Vec<_> = all.iter().map(|(_, found)| found.clone()).collect();
    assert_eq!(found, [given_up("a", "410"), given_up("b", "404")]);
    assert_eq!(store.given_up(all[0].0, 10).await.unwrap(), all[1..]);
    assert_eq!(store.given_up(0, 1).await.unwrap(), all[..1]);
}

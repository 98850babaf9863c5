//! Finished charges.

use std::time::Duration;

use shop::{Begun, Charge};
use stores::Stores;

use crate::sample::{cancelled, declined, paid, race};

pub(crate) async fn a_settlement_is_found_by_its_key(stores: Stores) {
    assert_eq!(stores.payments.find("a").await, Ok(None));
    for settlement in [paid("a", "ch-1"), declined("b"), cancelled("d")] {
        assert_eq!(stores.payments.record(settlement.clone()).await.as_ref(), Ok(&settlement));
        assert_eq!(stores.payments.find(&settlement.key).await, Ok(Some(settlement)));
    }
    assert_eq!(stores.payments.find("c").await, Ok(None));
}

pub(crate) async fn the_first_settlement_stands(stores: Stores) {
    for first in [paid("a", "ch-1"), declined("b"), cancelled("d")] {
        let key = &first.key;
        stores.payments.record(first.clone()).await.unwrap();
        for later in [first.clone(), paid(key, "ch-2"), declined(key)] {
            assert_eq!(stores.payments.record(later).await.as_ref(), Ok(&first));
        }
        assert_eq!(stores.payments.find(key).await, Ok(Some(first)));
    }
}

pub(crate) async fn concurrent_settlements_of_a_key_have_one_winner(stores: Stores) {
    let results = race(|n| {
        let payments = stores.payments.clone();
        async move { payments.record(paid("a", &format!("ch-{n}"))).await.unwrap() }
    })
    .await;
    let stands = stores.payments.find("a").await.unwrap().unwrap();
    assert!(results.iter().all(|r| *r == stands), "{results:#?}");
}

pub(crate) async fn who_begins_a_charge_that_is_decided_is_told(stores: Stores) {
    let (span, card) = (Duration::from_secs(60), "card".to_owned());
    let charge = Charge { key: "a".to_owned(), amount_cents: 900, card };
    assert_eq!(stores.payments.begin(&charge, span).await, Ok(Begun::Ours));
    assert_eq!(stores.payments.find("a").await, Ok(None), "begun is not decided");
    stores.payments.give_up("a").await.unwrap();
    assert_eq!(stores.payments.begin(&charge, span).await, Ok(Begun::Ours));
    let settlement = paid("a", "ch-1");
    assert_eq!(stores.payments.record(settlement.clone()).await.as_ref(), Ok(&settlement));
    let told = Ok(Begun::Settled(settlement.clone()));
    assert_eq!(stores.payments.begin(&charge, span).await, told);
    stores.payments.give_up("a").await.unwrap();
    assert_eq!(stores.payments.begin(&charge, span).await, told);
    assert_eq!(stores.payments.record(declined("a")).await, Ok(settlement));
}

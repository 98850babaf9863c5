//! Charges that are recorded by the commit that settles their orders.

use shop::{Error, OrderStatus};
use stores::Stores;

use crate::sample::{customer, insert, order, paid};

/// The same file, with and without.
fn rig(folder: &tempfile::TempDir) -> (Stores, Stores) {
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    let plain = stores::open(&url).unwrap();
    (plain.clone(), plain.together().unwrap())
}

#[tokio::test]
async fn a_charge_is_durable_when_its_order_is_settled_and_known_before() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, together) = rig(&folder);
    let order = order(customer(1));
    insert(&together, &order).await;
    let settlement = paid(&order.key, "ch-1");
    let commits = || plain.stats().unwrap().commits;
    let before = commits();
    together.payments.record(settlement.clone()).await.unwrap();
    assert_eq!(together.payments.find(&order.key).await, Ok(Some(settlement.clone())));
    assert_eq!(plain.payments.find(&order.key).await, Ok(None));
    let settled = together.orders.settle(settlement.clone(), 1).await.unwrap();
    assert_eq!(settled.status, OrderStatus::Paid);
    assert_eq!(commits() - before, 1);
    assert_eq!(plain.payments.find(&order.key).await, Ok(Some(settlement)));
}

#[tokio::test]
async fn what_could_not_be_settled_is_known_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (_plain, together) = rig(&folder);
    let order = order(customer(1));
    insert(&together, &order).await;
    let settlement = paid(&order.key, "ch-1");
    together.payments.record(settlement.clone()).await.unwrap();
    std::fs::remove_file(folder.path().join("shop.db")).unwrap();
    let settled = together.orders.settle(settlement.clone(), 1).await;
    assert!(matches!(settled, Err(Error::Unavailable(_))), "{settled:?}");
    assert_eq!(together.payments.find(&order.key).await, Ok(Some(settlement)));
}

#[test]
fn a_store_that_cannot_says_so() {
    let error = stores::open("memory:").unwrap().together().err().unwrap().to_string();
    assert!(error.contains("cannot record charges with orders"), "{error}");
}

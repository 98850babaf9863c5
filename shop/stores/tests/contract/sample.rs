//! Orders, accounts and settlements to try the stores with.

use std::future::Future;

use shop::{
    Handover, Item, Most, Order, OrderId, OrderStatus, Placed, Reader, Settlement, User, UserId,
    Verdict,
};
use stores::Stores;
use uuid::Uuid;

/// Tasks that race.
pub(crate) const RACERS: usize = 32;

/// By outbox, however many wait there.
pub(crate) const OUTBOX: Handover = Handover::Outbox { most: u64::MAX };

pub(crate) fn customer(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

pub(crate) fn user(n: u128, email: &str) -> User {
    let password_hash = format!("$argon2id$v=19$m=19456,t=2,p=1${n}");
    User { id: customer(n), email: email.to_owned(), password_hash }
}

/// A pending order of a fresh id and key.
pub(crate) fn order(customer: UserId) -> Order {
    let id = OrderId(Uuid::now_v7());
    let item =
        |sku: &str, quantity, price_cents| Item { sku: sku.to_owned(), quantity, price_cents };
    Order {
        id,
        key: format!("key-{}", Uuid::new_v4()),
        customer,
        fingerprint: "0123456789abcdef0123456789abcdef".to_owned(),
        items: vec![item("tea", 2, 450), item("tasse \"à thé\" 🍵", 1_000, 100_000_000)],
        total_cents: 100_000_000_900,
        card: Some("4242424242424242".to_owned()),
        status: OrderStatus::Pending,
        charge_id: None,
        reason: None,
        created_at: shop::now_us(),
        settled_at: None,
    }
}

pub(crate) async fn insert(stores: &Stores, order: &Order) {
    let placed = stores.orders.insert(order.clone(), Handover::Direct).await.unwrap();
    assert_eq!(placed, Placed::New(order.clone()));
}

/// All orders that this reader may see.
pub(crate) async fn everything(stores: &Stores, reader: Reader) -> Vec<Order> {
    let most = Most { orders: u32::MAX, bytes: usize::MAX };
    stores.orders.list(reader, None, most).await.unwrap().orders
}

pub(crate) fn paid(key: &str, charge_id: &str) -> Settlement {
    let verdict = Verdict::Paid { charge_id: charge_id.to_owned() };
    Settlement { key: key.to_owned(), amount_cents: 900, verdict }
}

pub(crate) fn declined(key: &str) -> Settlement {
    Settlement { key: key.to_owned(), amount_cents: 900, verdict: Verdict::Declined }
}

pub(crate) fn cancelled(key: &str) -> Settlement {
    Settlement { key: key.to_owned(), amount_cents: 900, verdict: Verdict::Cancelled }
}

pub(crate) fn out_of_stock(key: &str) -> Settlement {
    Settlement { key: key.to_owned(), amount_cents: 900, verdict: Verdict::OutOfStock }
}

/// Starts all at once and returns their results.
pub(crate) async fn race<F>(run: impl Fn(usize) -> F) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let tasks: Vec<_> = (0..RACERS).map(|n| tokio::spawn(run(n))).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

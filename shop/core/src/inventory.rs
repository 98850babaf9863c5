//! What is ordered is reserved before it is charged, sold when it is paid and released when it is declined.
//! A shelf has no end: what is not there is ordered from the supplier. It does not know who asks, nor when.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Charge, Error, Follower, Item, Number, OrderStatus, Result, Settled};

/// The service that knows stock, as far as an order asks it.
#[async_trait]
pub trait Stock: Send + Sync {
    /// Holds what an order needs, once per key. Errors: `Busy`, `Unavailable`, `TimedOut`, `Internal`.
    async fn reserve(&self, key: &str, items: &[Item]) -> Result<()>;
}

/// A charge to be made when what its order needs is reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The charge.
    pub charge: Charge,
    /// What its order needs.
    pub items: Vec<Item>,
}

/// What became of a reservation. Legal moves: held → sold, held → released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Its order is not final.
    Held,
    /// Its order is paid.
    Sold,
    /// Its order is declined.
    Released,
}

impl Reserved {
    /// The word used in storage and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Released => "released",
        }
    }
}

/// What one order holds or held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The order's key.
    pub key: String,
    /// How many of each article.
    pub quantities: BTreeMap<String, u32>,
    /// What became of it.
    pub state: Reserved,
}

/// What is known of one article: how many are held, were sold and were released.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    /// The article.
    pub sku: String,
    /// Held now.
    pub held: i64,
    /// Sold since the beginning.
    pub sold: i64,
    /// Held once, and released.
    pub released: i64,
}

/// Where stock is remembered: a row per article, a row per reservation, in one commit. Returned means durable.
#[async_trait]
pub trait StockStore: Send + Sync {
    /// Adds a reservation that is held, unless its key has one.
    async fn reserve(&self, key: &str, quantities: BTreeMap<String, u32>) -> Result<()>;
    /// Ends the reservation of this key, once; returns the state that it then has. Errors: `NotFound`.
    async fn close(&self, key: &str, end: Reserved) -> Result<Reserved>;
    /// At most `limit` articles after this one, by name.
    async fn shelves(&self, after: &str, limit: u32) -> Result<Vec<Shelf>>;
    /// At most `limit` reservations with numbers above `after`, lowest first.
    async fn reservations(&self, after: Number, limit: u32) -> Result<Vec<(Number, Reservation)>>;
}

/// Stock over a store.
pub struct InventoryService {
    store: Arc<dyn StockStore>,
}

impl InventoryService {
    /// The service over this store.
    #[must_use]
    pub fn new(store: Arc<dyn StockStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Stock for InventoryService {
    async fn reserve(&self, key: &str, items: &[Item]) -> Result<()> {
        let mut quantities = BTreeMap::new();
        for item in items {
            *quantities.entry(item.sku.clone()).or_insert(0) += item.quantity;
        }
        self.store.reserve(key, quantities).await
    }
}

#[async_trait]
impl Follower for InventoryService {
    async fn tell(&self, settled: &Settled) -> Result<()> {
        let end = match settled.status {
            OrderStatus::Paid => Reserved::Sold,
            OrderStatus::Declined => Reserved::Released,
            OrderStatus::Pending => return Ok(()),
        };
        let key = &settled.key;
        match self.store.close(key, end).await {
            Ok(state) if state == end => Ok(()),
            Ok(state) => {
                Err(Error::Internal(format!("the stock of {key} is {} already", state.as_str())))
            }
            Err(Error::NotFound) => Err(Error::Internal(format!("nothing was reserved for {key}"))),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use uuid::Uuid;

    use super::*;
    use crate::OrderId;

    /// One reservation.
    #[derive(Default)]
    struct Kept(Mutex<Option<Reservation>>);

    #[async_trait]
    impl StockStore for Kept {
        async fn reserve(&self, key: &str, quantities: BTreeMap<String, u32>) -> Result<()> {
            let state = Reserved::Held;
            *self.0.lock().unwrap() = Some(Reservation { key: key.to_owned(), quantities, state });
            Ok(())
        }

        async fn close(&self, key: &str, end: Reserved) -> Result<Reserved> {
            let mut kept = self.0.lock().unwrap();
            let kept = kept.as_mut().filter(|kept| kept.key == key).ok_or(Error::NotFound)?;
            if kept.state == Reserved::Held {
                kept.state = end;
            }
            Ok(kept.state)
        }

        async fn shelves(&self, _: &str, _: u32) -> Result<Vec<Shelf>> {
            Ok(Vec::new())
        }

        async fn reservations(&self, _: Number, _: u32) -> Result<Vec<(Number, Reservation)>> {
            Ok(Vec::new())
        }
    }

    fn settled(key: &str, status: OrderStatus) -> Settled {
        Settled {
            id: OrderId(Uuid::nil()),
            key: key.to_owned(),
            status,
            total_cents: 1,
            charge_id: None,
            settled_at: 1,
            callback_url: None,
        }
    }

    #[tokio::test]
    async fn what_is_paid_is_sold_and_what_is_declined_is_released_once() {
        for (status, end, other) in [
            (OrderStatus::Paid, Reserved::Sold, OrderStatus::Declined),
            (OrderStatus::Declined, Reserved::Released, OrderStatus::Paid),
        ] {
            let kept = Arc::new(Kept::default());
            let service = InventoryService::new(Arc::clone(&kept) as _);
            let item = |sku: &str, quantity| Item { sku: sku.to_owned(), quantity, price_cents: 1 };
            let items = [item("tea", 2), item("cup", 1), item("tea", 3)];
            service.reserve("k", &items).await.unwrap();
            let held = kept.0.lock().unwrap().clone().unwrap();
            let expected = [("cup".to_owned(), 1), ("tea".to_owned(), 5)].into();
            assert_eq!((held.quantities, held.state), (expected, Reserved::Held));
            for _ in 0..2 {
                assert_eq!(service.tell(&settled("k", status)).await, Ok(()));
                assert_eq!(kept.0.lock().unwrap().as_ref().unwrap().state, end);
            }
            let contradicts = service.tell(&settled("k", other)).await;
            assert!(matches!(contradicts, Err(Error::Internal(_))), "{contradicts:?}");
            let unknown = service.tell(&settled("l", status)).await;
            assert!(matches!(unknown, Err(Error::Internal(_))), "{unknown:?}");
        }
    }
}

//! What is ordered is reserved before it is charged, sold when it is paid and released when it is declined.
//! Where a shelf has an end, an order that needs more than is there is refused before anything is charged; where
//! it has none, what is not there is ordered from the supplier. It does not know who asks, nor when.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::{Charge, Error, Follower, Item, Number, OrderStatus, Result, Settled};

/// What an inventory says to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// All that it needs was held for it, whatever became of that since.
    Reserved,
    /// Something that it needs is not there: nothing is held for it, and never will be.
    Lacking,
}

/// The service that knows stock, as far as an order asks it.
#[async_trait]
pub trait Stock: Send + Sync {
    /// Holds what an order needs, all or nothing; once per key, and the answer to a key never changes. Errors:
    /// `Busy`, `Unavailable`, `TimedOut`, `Internal`.
    async fn reserve(&self, key: &str, items: &[Item]) -> Result<Availability>;
    /// As `reserve` of each, together; one that fails harms no other.
    async fn reserve_all(&self, all: &[Wanted]) -> Vec<Result<Availability>> {
        join_all(all.iter().map(|one| self.reserve(&one.charge.key, &one.items))).await
    }
}

/// A charge to be made, or cancelled, when what its order needs is reserved: what ends later has something to release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The charge.
    pub charge: Charge,
    /// What its order needs.
    pub items: Vec<Item>,
    /// It is to be cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancels: bool,
}

/// What became of a reservation. Legal moves: held → sold, held → released. One that is lacking stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Its order is not final.
    Held,
    /// Its order is paid.
    Sold,
    /// Its order is declined.
    Released,
    /// Nothing was held: its order is declined because something was not there.
    Lacking,
}

impl Reserved {
    /// What this word stands for.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::Held, Self::Sold, Self::Released, Self::Lacking];
        all.into_iter().find(|state| state.as_str() == word)
    }

    /// What its order was told.
    #[must_use]
    pub fn answer(self) -> Availability {
        match self {
            Self::Held | Self::Sold | Self::Released => Availability::Reserved,
            Self::Lacking => Availability::Lacking,
        }
    }

    /// The word used in storage and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Released => "released",
            Self::Lacking => "lacking",
        }
    }
}

/// How many of each article.
pub type Quantities = BTreeMap<String, u32>;

/// What one order holds, held or lacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The order's key.
    pub key: String,
    /// How many of each article.
    pub quantities: Quantities,
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
    /// Adds a reservation, unless its key has one; returns the state that it then has. A new one is held, or
    /// lacking if of one article more than `stock` would then be held and sold; none: a shelf has no end.
    async fn reserve(
        &self,
        key: &str,
        quantities: Quantities,
        stock: Option<u32>,
    ) -> Result<Reserved>;
    /// As `reserve` of each in this sequence, in one commit where the store has such. What fails is each one's
    /// own, or that of the commit, which all have in common.
    async fn reserve_all(
        &self,
        all: Vec<(String, Quantities)>,
        stock: Option<u32>,
    ) -> Vec<Result<Reserved>> {
        let reserved = all.iter().map(|(key, needs)| self.reserve(key, needs.clone(), stock));
        join_all(reserved).await
    }
    /// Ends the reservation of this key if it is held; returns the state that it then has. Errors: `NotFound`.
    async fn close(&self, key: &str, end: Reserved) -> Result<Reserved>;
    /// As `close` of each, in one commit where the store has such, as `reserve_all`.
    async fn close_all(&self, all: Vec<(String, Reserved)>) -> Vec<Result<Reserved>> {
        join_all(all.iter().map(|(key, end)| self.close(key, *end))).await
    }
    /// At most `limit` articles after this one, by name.
    async fn shelves(&self, after: &str, limit: u32) -> Result<Vec<Shelf>>;
    /// At most `limit` reservations with numbers above `after`, lowest first.
    async fn reservations(&self, after: Number, limit: u32) -> Result<Vec<(Number, Reservation)>>;
}

/// Stock over a store.
pub struct InventoryService {
    store: Arc<dyn StockStore>,
    stock: Option<u32>,
}

impl InventoryService {
    /// The service over this store. Of each article there are `stock`; none: a shelf has no end.
    #[must_use]
    pub fn new(store: Arc<dyn StockStore>, stock: Option<u32>) -> Self {
        Self { store, stock }
    }
}

fn quantities(items: &[Item]) -> Quantities {
    let mut quantities = Quantities::new();
    for item in items {
        *quantities.entry(item.sku.clone()).or_insert(0) += item.quantity;
    }
    quantities
}

#[async_trait]
impl Stock for InventoryService {
    async fn reserve(&self, key: &str, items: &[Item]) -> Result<Availability> {
        let reserved = self.store.reserve(key, quantities(items), self.stock).await;
        reserved.map(Reserved::answer)
    }

    async fn reserve_all(&self, all: &[Wanted]) -> Vec<Result<Availability>> {
        let all = all.iter().map(|one| (one.charge.key.clone(), quantities(&one.items))).collect();
        let reserved = self.store.reserve_all(all, self.stock).await;
        reserved.into_iter().map(|reserved| reserved.map(Reserved::answer)).collect()
    }
}

/// How the reservation of this order ends.
fn end(settled: &Settled) -> Option<Reserved> {
    match settled.status {
        OrderStatus::Paid => Some(Reserved::Sold),
        OrderStatus::Declined => Some(Reserved::Released),
        OrderStatus::Pending => None,
    }
}

/// Whether it has ended as it should. Whose order was refused for it has nothing to release.
fn ended(key: &str, end: Reserved, found: Result<Reserved>) -> Result<()> {
    match found {
        Ok(state) if state == end => Ok(()),
        Ok(Reserved::Lacking) if end == Reserved::Released => Ok(()),
        Ok(state) => {
            Err(Error::Internal(format!("the stock of {key} is {} already", state.as_str())))
        }
        Err(Error::NotFound) => Err(Error::Internal(format!("nothing was reserved for {key}"))),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Follower for InventoryService {
    async fn tell(&self, settled: &Settled) -> Result<()> {
        let (key, Some(end)) = (&settled.key, end(settled)) else { return Ok(()) };
        ended(key, end, self.store.close(key, end).await)
    }

    async fn tell_all(&self, all: &[Settled]) -> Vec<Result<()>> {
        // Nobody is told of what is pending.
        let ends = all.iter().map(|settled| end(settled).unwrap_or(Reserved::Held));
        let ends: Vec<Reserved> = ends.collect();
        let keys = all.iter().map(|settled| settled.key.clone());
        let closed = self.store.close_all(keys.zip(ends.iter().copied()).collect()).await;
        let found = all.iter().zip(ends).zip(closed);
        found.map(|((settled, end), found)| ended(&settled.key, end, found)).collect()
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
        async fn reserve(
            &self,
            key: &str,
            quantities: Quantities,
            stock: Option<u32>,
        ) -> Result<Reserved> {
            let lacks = quantities.values().any(|count| stock.is_some_and(|stock| *count > stock));
            let state = if lacks { Reserved::Lacking } else { Reserved::Held };
            *self.0.lock().unwrap() = Some(Reservation { key: key.to_owned(), quantities, state });
            Ok(state)
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

    fn item(sku: &str, quantity: u32) -> Item {
        Item { sku: sku.to_owned(), quantity, price_cents: 1 }
    }

    #[tokio::test]
    async fn who_lacks_something_holds_nothing_and_has_nothing_to_release() {
        let service = InventoryService::new(Arc::new(Kept::default()), Some(4));
        let items = [item("tea", 2), item("tea", 3)];
        assert_eq!(service.reserve("k", &items).await, Ok(Availability::Lacking));
        assert_eq!(service.tell(&settled("k", OrderStatus::Declined)).await, Ok(()));
        let all = [OrderStatus::Declined, OrderStatus::Paid].map(|status| settled("k", status));
        let told = service.tell_all(&all).await;
        assert!(matches!(&told[..], [Ok(()), Err(Error::Internal(_))]), "{told:?}");
    }

    #[tokio::test]
    async fn what_is_paid_is_sold_and_what_is_declined_is_released_once() {
        for (status, end, other) in [
            (OrderStatus::Paid, Reserved::Sold, OrderStatus::Declined),
            (OrderStatus::Declined, Reserved::Released, OrderStatus::Paid),
        ] {
            let kept = Arc::new(Kept::default());
            let service = InventoryService::new(Arc::clone(&kept) as _, Some(5));
            let items = [item("tea", 2), item("cup", 1), item("tea", 3)];
            assert_eq!(service.reserve("k", &items).await, Ok(Availability::Reserved));
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

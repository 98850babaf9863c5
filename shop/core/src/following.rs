//! An order's settlement is an event, and others follow it: who notifies the customer, who keeps the stock.
//! They are independent of each other; the order does not know what they do. Where nobody follows, nothing
//! of this is kept (decision 55).

mod telling;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::{
    Handover, Item, Micros, Number, Order, OrderId, OrderStatus, Placed, Result, Settlement, Stock,
};

pub use telling::keep_telling;

/// An order that has become final, as those who follow it are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The order.
    pub id: OrderId,
    /// Its customer's idempotency key.
    pub key: String,
    /// Paid or declined.
    pub status: OrderStatus,
    /// Its sum, in cents.
    pub total_cents: i64,
    /// The card network's reference, if it is paid.
    pub charge_id: Option<String>,
    /// When it became final.
    pub settled_at: Micros,
    /// Where its customer wants to be told.
    pub callback_url: Option<String>,
}

impl Settled {
    /// The event of this order; `None` while it is not final.
    #[must_use]
    pub fn of(order: &Order, callback_url: Option<String>) -> Option<Self> {
        Some(Self {
            id: order.id,
            key: order.key.clone(),
            status: order.status,
            total_cents: order.total_cents,
            charge_id: order.charge_id.clone(),
            settled_at: order.settled_at?,
            callback_url,
        })
    }
}

/// Somebody who follows settlements.
#[async_trait]
pub trait Follower: Send + Sync {
    /// Takes an event; returned means that it will not be forgotten. Being told again changes nothing.
    /// Errors: `Busy`, `Unavailable`, `TimedOut`, `Internal`.
    async fn tell(&self, settled: &Settled) -> Result<()>;
    /// As `tell` of each, together; one that fails harms no other.
    async fn tell_all(&self, all: &[Settled]) -> Vec<Result<()>> {
        join_all(all.iter().map(|settled| self.tell(settled))).await
    }
}

/// Events that are owed to followers. They are kept with the orders, in the orders' own commits: an order
/// cannot become final without owing its event. Returned means durable.
#[async_trait]
pub trait Events: Send + Sync {
    /// As `OrderStore::insert`; a new order's callback URL is kept beside it.
    async fn insert(
        &self,
        order: Order,
        handover: Handover,
        callback_url: Option<String>,
    ) -> Result<Placed>;
    /// As `OrderStore::settle`. An order that becomes final by it owes its event from then on; that event is
    /// returned as long as it is owed, whoever settled the order.
    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<(Order, Option<Settled>)>;
    /// As `settle` of each, in one commit where the store has such, as `OrderStore::settle_all`.
    async fn settle_all(
        &self,
        settlements: Vec<Settlement>,
        at: Micros,
    ) -> Vec<Result<(Order, Option<Settled>)>> {
        join_all(settlements.into_iter().map(|settlement| self.settle(settlement, at))).await
    }
    /// At most `limit` events that are owed, with numbers in this range, lowest first.
    async fn owed(&self, numbers: Range<Number>, limit: u32) -> Result<Owed>;
    /// What was ordered under each of these keys, in their sequence; nothing of a key that has no order.
    async fn items(&self, keys: Vec<String>) -> Result<Vec<Vec<Item>>>;
    /// The event of this key is owed no more.
    async fn told(&self, key: &str) -> Result<()>;
}

/// Events that are owed, and how far the store has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// The events with their numbers, lowest first; no number is ever given again.
    pub events: Vec<(Number, Settled)>,
    /// The number of the newest that is owed; 0 if none is.
    pub newest: Number,
}

/// Those who follow, and what is owed to them.
#[derive(Clone)]
pub struct Following {
    pub(crate) events: Arc<dyn Events>,
    followers: Arc<[Arc<dyn Follower>]>,
    pub(crate) stock: Option<Arc<dyn Stock>>,
}

impl Following {
    /// These follow all orders of the store that keeps these events.
    #[must_use]
    pub fn new(events: Arc<dyn Events>, followers: Vec<Arc<dyn Follower>>) -> Self {
        Self { events, followers: followers.into(), stock: None }
    }

    /// Before an order is charged, what it needs is reserved there.
    #[must_use]
    pub fn reserving(self, stock: Option<Arc<dyn Stock>>) -> Self {
        Self { stock, ..self }
    }

    /// How many follow.
    #[must_use]
    pub fn count(&self) -> usize {
        self.followers.len()
    }

    /// Tells all of them at once. When the last knows it, the event is owed no more; if one cannot be told,
    /// all are told again another time.
    pub(crate) async fn tell(&self, settled: &Settled) -> Result<()> {
        let told = join_all(self.followers.iter().map(|follower| follower.tell(settled))).await;
        told.into_iter().collect::<Result<Vec<()>>>()?;
        self.events.told(&settled.key).await
    }
}

#[cfg(test)]
mod tests;

//! Charges and orders in one: what the card network decided is recorded by the transaction that settles its order, so
//! that an order takes two commits instead of three.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use shop::{
    Error, Handover, Listed, Micros, Most, Number, Order, OrderId, OrderStore, PaymentStore,
    Pending, Placed, Reader, Result, Settlement,
};

use super::{Sqlite, meaning, orders, payments};

/// A database of one process, whose modules share their last commit.
pub(super) struct Together {
    sqlite: Arc<Sqlite>,
    /// What was decided and is not durable yet: whoever charges the same key again finds it here. As many as orders are
    /// in work, and those that could not be settled, until they are.
    decided: Mutex<HashMap<String, Settlement>>,
}

impl Together {
    pub(super) fn over(sqlite: Arc<Sqlite>) -> Self {
        Self { sqlite, decided: Mutex::default() }
    }

    fn decided(&self) -> MutexGuard<'_, HashMap<String, Settlement>> {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PaymentStore for Together {
    async fn find(&self, key: &str) -> Result<Option<Settlement>> {
        let decided = self.decided().get(key).cloned();
        match decided {
            Some(settlement) => Ok(Some(settlement)),
            None => self.sqlite.find(key).await,
        }
    }

    /// Durable when its order is settled. Nobody records what is settled already: who charges looks before.
    async fn record(&self, settlement: Settlement) -> Result<Settlement> {
        let key = settlement.key.clone();
        Ok(self.decided().entry(key).or_insert(settlement).clone())
    }
}

#[async_trait]
impl OrderStore for Together {
    async fn insert(&self, order: Order, handover: Handover) -> Result<Placed> {
        OrderStore::insert(&*self.sqlite, order, handover).await
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order> {
        let key = settlement.key.clone();
        let job = move |c: &Connection| {
            payments::record(c, &settlement)?;
            Ok(orders::settle(c, &settlement, at)?.0)
        };
        let settled = self.sqlite.db.write(job).await.map_err(meaning)?;
        self.decided().remove(&key);
        crash_point::reach(crash_point::ORDER_SETTLED);
        settled.ok_or(Error::NotFound)?.order()
    }

    async fn get(&self, reader: Reader, id: OrderId) -> Result<Option<Order>> {
        self.sqlite.get(reader, id).await
    }

    async fn list(&self, reader: Reader, after: Option<OrderId>, most: Most) -> Result<Listed> {
        self.sqlite.list(reader, after, most).await
    }

    async fn pending(&self, numbers: Range<Number>, limit: u32) -> Result<Pending> {
        self.sqlite.pending(numbers, limit).await
    }
}

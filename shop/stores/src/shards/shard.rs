//! What a database must do to be one of several that share the orders.

use async_trait::async_trait;
use shop::{Charge, Handover, Most, Number, Order, OrderId, Placed, Result, UserId};
use shop::{OrderStore, Outbox, StepStore};

use super::numbers::Numbers;
use crate::adapter::Database;

/// One of several databases. Returned means durable.
#[async_trait]
pub(crate) trait Shard: OrderStore + Outbox + StepStore + Database {
    /// As `OrderStore::insert`, under a number of this sequence.
    async fn insert_under(
        &self,
        order: Order,
        handover: Handover,
        numbers: &Numbers,
    ) -> Result<Placed>;
    /// The order with this key.
    async fn of_key(&self, key: &str) -> Result<Option<Order>>;
    /// Orders of all customers with numbers above `after`, `last` at most.
    async fn page(&self, after: Number, last: Number, most: Most) -> Result<Part>;
    /// The number of an order.
    async fn number(&self, id: OrderId) -> Result<Option<Number>>;
    /// The highest number; 0 if there is no order.
    async fn newest(&self) -> Result<Number>;
    /// How many orders there are.
    async fn count(&self) -> Result<u64>;
    /// How many charges wait to be handed over, as a bound needs it: those of one commit may be missing.
    async fn owing(&self) -> Result<u64>;

    /// Enters this unless something stands under its name; returns what then stands there.
    async fn enter(&self, entry: Entry) -> Result<Entry>;
    /// Enters this, whatever stands there.
    async fn enter_anew(&self, entry: Entry) -> Result<()>;
    /// Forgets what stands under this name.
    async fn strike(&self, name: &str) -> Result<()>;
    /// What stands under this name.
    async fn look_up(&self, name: &str) -> Result<Option<Entry>>;

    /// Customers with orders, behind this one, in the sequence of their ids.
    async fn customers(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>>;
    /// At most `limit` orders of a customer with numbers above `after`, lowest first, and the charges that they owe.
    async fn part(&self, customer: UserId, after: Number, limit: u32) -> Result<Luggage>;
    /// Adds orders of one customer as they are.
    async fn take_in(&self, luggage: Luggage) -> Result<()>;
    /// Remembers that all of a customer's orders are here.
    async fn arrived(&self, customer: UserId) -> Result<()>;
    /// Whether that is so.
    async fn has_arrived(&self, customer: UserId) -> Result<bool>;
    /// Forgets who has arrived: for the next move.
    async fn forget_arrivals(&self) -> Result<()>;
    /// Forgets a customer's orders, what they owe, and that he has arrived, in one commit.
    async fn let_out(&self, customer: UserId) -> Result<()>;

    /// The text under a name.
    async fn noted(&self, name: &'static str) -> Result<Option<String>>;
    /// Keeps a text under a name unless there is one; returns the one that then stands.
    async fn note(&self, name: &'static str, text: String) -> Result<String>;
    /// Keeps a text under a name, whatever stands there.
    async fn note_anew(&self, name: &'static str, text: String) -> Result<()>;
}

/// Whose an order is, by the order's key or its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) customer: UserId,
    /// What tells this order from another of that customer: by the key, its id; by the id, its key.
    pub(crate) order: String,
}

/// A part of a database's orders.
pub(crate) struct Part {
    /// The orders with their numbers, lowest first, and the bytes of their items as JSON.
    pub(crate) orders: Vec<(Number, Order, usize)>,
    /// Whether more would follow.
    pub(crate) more: bool,
}

/// What moves with a customer.
#[derive(Debug, Default)]
pub(crate) struct Luggage {
    pub(crate) orders: Vec<(Number, Order)>,
    pub(crate) owed: Vec<Charge>,
}

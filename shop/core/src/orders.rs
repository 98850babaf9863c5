//! What was ordered, and what became of it.

mod ages;
#[cfg(test)]
mod kept;
mod place;
mod reconcile;
mod recovery;
mod service;
mod spread;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Charge, Error, Micros, Result, Settlement, UserId, Verdict};

pub(crate) use ages::Ages;
pub use place::{Item, PlaceOrder};
pub use reconcile::{Courier, keep_reconciling};
pub use recovery::keep_recovering;
pub use service::{OrderService, PAGE_BYTES, PAGE_MAX};
pub use spread::{Move, Spread, Spreading, Wider};

/// Identifies an order. Version 7, so that neighbours in time are neighbours in an index; who was first
/// is told by its number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub Uuid);

/// How far an order has come. Legal moves: pending → paid, pending → declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Accepted; the money is not decided.
    Pending,
    /// The money is captured.
    Paid,
    /// The card network refused, what was ordered is not there, or its customer cancelled it.
    Declined,
}

impl OrderStatus {
    /// The word used in storage and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Declined => "declined",
        }
    }
}

/// Why an order was declined, if not by the card network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The inventory lacks what was ordered; nothing was charged.
    OutOfStock,
    /// Its customer cancelled it; nothing was charged.
    Cancelled,
}

impl Reason {
    /// The word used in storage and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfStock => "out-of-stock",
            Self::Cancelled => "cancelled",
        }
    }

    /// What this word stands for.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::OutOfStock, Self::Cancelled].into_iter().find(|reason| reason.as_str() == word)
    }
}

/// How a settlement leaves an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending<'a> {
    /// Paid or declined.
    pub status: OrderStatus,
    /// The card network's reference, if it is paid.
    pub charge_id: Option<&'a str>,
    /// Why it is declined, if not by the card network.
    pub reason: Option<Reason>,
}

impl<'a> From<&'a Verdict> for Ending<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        let declined = Self { status: OrderStatus::Declined, charge_id: None, reason: None };
        match verdict {
            Verdict::Paid { charge_id } => {
                Self { status: OrderStatus::Paid, charge_id: Some(charge_id), reason: None }
            }
            Verdict::Declined => declined,
            Verdict::OutOfStock => Self { reason: Some(Reason::OutOfStock), ..declined },
            Verdict::Cancelled => Self { reason: Some(Reason::Cancelled), ..declined },
        }
    }
}

/// An order as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its identity.
    pub id: OrderId,
    /// The client's idempotency key; globally unique, because the charge carries it too.
    pub key: String,
    /// Who ordered.
    pub customer: UserId,
    /// A digest of what was asked, to tell a repetition from a different order.
    pub fingerprint: String,
    /// What was ordered.
    pub items: Vec<Item>,
    /// The sum to be captured, in cents.
    pub total_cents: i64,
    /// The card to charge; forgotten (`None`) when the order settles.
    pub card: Option<String>,
    /// How far it has come.
    pub status: OrderStatus,
    /// The card network's reference, once paid.
    pub charge_id: Option<String>,
    /// Why it was declined, if not by the card network.
    pub reason: Option<Reason>,
    /// When it was accepted.
    pub created_at: Micros,
    /// When it reached its final state.
    pub settled_at: Option<Micros>,
}

impl Order {
    /// The charge that pays for this order; `None` once it has settled.
    #[must_use]
    pub fn charge(&self) -> Option<Charge> {
        let card = self.card.clone()?;
        Some(Charge { key: self.key.clone(), amount_cents: self.total_cents, card })
    }

    /// Whether this is how the verdict leaves it. Of several reasons to decline it the first stands.
    pub(crate) fn is_as(&self, verdict: &Verdict) -> bool {
        let Ending { status, charge_id, .. } = Ending::from(verdict);
        (status, charge_id) == (self.status, self.charge_id.as_deref())
    }
}

/// Whose orders a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Their own.
    Customer(UserId),
    /// All of them (the audit).
    Operator,
}

/// Counts the orders of a store in the sequence of their insertion: an order that is inserted after another
/// has a higher number, whatever clocks and ids say.
pub type Number = i64;

/// A page of orders, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    /// At most as many as were asked for; fewer if they are long.
    pub orders: Vec<Order>,
    /// Ask for what comes after this; `None` on the last page.
    pub next: Option<OrderId>,
}

/// Whether the insertion of an order also commits the duty to hand its charge over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The caller charges in the same call.
    Direct,
    /// A row in the outbox, in the order's own transaction; a relay hands it over later.
    Outbox {
        /// An order that would owe one more than these is refused (those of one commit may be counted
        /// together: 255 more).
        most: u64,
    },
}

/// What an insertion found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The order is new.
    New(Order),
    /// The key was there already, with this order.
    Existing(Order),
}

/// How much of a listing is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// No more orders than these.
    pub orders: u32,
    /// None further once their items, as JSON, have so many bytes together.
    pub bytes: usize,
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The orders, lowest number first; one at least, if there is one.
    pub orders: Vec<Order>,
    /// Whether more would follow.
    pub more: bool,
}

/// Orders that are pending, and how far the store has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The orders with their numbers, lowest first.
    pub orders: Vec<(Number, Order)>,
    /// The number of the newest order, whatever its state; 0 if there is none.
    pub newest: Number,
}

/// The service that knows orders.
#[async_trait]
pub trait Orders: Send + Sync {
    /// Places an order once per key. Errors: `Unauthenticated`, `Invalid`, `KeyReused`, `Busy`,
    /// `Unavailable`, `TimedOut`.
    async fn place(&self, token: &str, request: PlaceOrder) -> Result<Order>;
    /// Cancels an order of the token's owner if it is not decided, and returns it as it then is: declined as cancelled,
    /// never charged; as it was decided before; or pending, if that will be heard later. Errors: `Unauthenticated`,
    /// `NotFound`, `Busy`, `Unavailable`, `TimedOut`.
    async fn cancel(&self, _token: &str, _id: OrderId) -> Result<Order> {
        Err(Error::Unavailable("cancellations are not taken here".to_owned()))
    }
    /// Brings an order to its final state, once; repeating it changes nothing.
    async fn settle(&self, settlement: Settlement) -> Result<Order>;
    /// As `settle` of each, together; one that fails harms no other.
    async fn settle_all(&self, settlements: Vec<Settlement>) -> Vec<Result<Order>> {
        join_all(settlements.into_iter().map(|settlement| self.settle(settlement))).await
    }
    /// One order of the token's owner. Errors: `Unauthenticated`, `NotFound`.
    async fn get(&self, token: &str, id: OrderId) -> Result<Order>;
    /// A page of the token's orders: the owner's, or all for the operator. Errors: `Unauthenticated`,
    /// `NotFound` if `after` is none of them.
    async fn list(&self, token: &str, after: Option<OrderId>, limit: u32) -> Result<Page>;
}

/// Where orders are remembered. Returned means durable.
#[async_trait]
pub trait OrderStore: Send + Sync {
    /// Adds an order, or finds the one that holds its key. Errors: `Busy` if the outbox is full.
    async fn insert(&self, order: Order, handover: Handover) -> Result<Placed>;
    /// Moves the order with this key from pending to its final state and forgets the card; returns
    /// it as it then is. An order that is final already stays. Errors: `NotFound`.
    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order>;
    /// As `settle` of each, in one commit where the store has such. What fails is each one's own, or that of
    /// the commit, which all have in common.
    async fn settle_all(&self, settlements: Vec<Settlement>, at: Micros) -> Vec<Result<Order>> {
        join_all(settlements.into_iter().map(|settlement| self.settle(settlement, at))).await
    }
    /// One order, if this reader may see it.
    async fn get(&self, reader: Reader, id: OrderId) -> Result<Option<Order>>;
    /// Orders that this reader may see, in the sequence of their numbers, after `after`. Errors:
    /// `NotFound` if `after` is none that this reader may see.
    async fn list(&self, reader: Reader, after: Option<OrderId>, most: Most) -> Result<Listed>;
    /// At most `limit` pending orders with numbers in this range, lowest first.
    async fn pending(&self, numbers: Range<Number>, limit: u32) -> Result<Pending>;
    /// Those of these orders that are pending and that nobody else has claimed are the caller's for so long, or
    /// until he lets go of them: their numbers. A claim keeps nobody from reading, repeating or settling them. A
    /// store that one process has alone gives all, and leaves it to that process to have one sweep.
    async fn claim(&self, numbers: Vec<Number>, _span: Duration) -> Result<Vec<Number>> {
        Ok(numbers)
    }
    /// Others may have these now.
    async fn let_go(&self, _numbers: Vec<Number>) -> Result<()> {
        Ok(())
    }
}

/// The charges that are owed to the payments service but not handed over (transactional outbox).
#[async_trait]
pub trait Outbox: Send + Sync {
    /// As `unsent`, of rows with numbers above `behind`, without those that another has claimed; what is returned is
    /// the caller's for so long, or until he lets go of it. A store that one process has alone gives all, and leaves it
    /// to that process to take each once. A row may come with a lower number than one that was there before.
    async fn claim(&self, behind: i64, limit: u32, span: Duration) -> Result<Vec<(i64, Charge)>>;
    /// Others may have these now.
    async fn let_go(&self, _rows: Vec<i64>) -> Result<()> {
        Ok(())
    }
    /// At most `limit` charges with their row numbers, oldest first, whoever has claimed them.
    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Charge)>>;
    /// Forgets these rows: their charges are in durable hands.
    async fn sent(&self, rows: Vec<i64>) -> Result<()>;
    /// What waits.
    async fn backlog(&self) -> Result<Backlog>;
}

/// What waits in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Charges that are not handed over.
    pub charges: u64,
    /// When the order was accepted whose charge is the first in line.
    pub oldest: Option<Micros>,
}

impl Backlog {
    /// Why an order that would add to it is refused.
    #[must_use]
    pub fn full(most: u64) -> Error {
        Error::Busy(format!("{most} charges wait to be handed over already"))
    }
}

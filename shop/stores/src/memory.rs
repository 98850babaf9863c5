//! Everything behind one lock, gone when the process ends: for tests. It makes the same promises
//! as the databases, except durability.

mod following;
mod steps;
mod stock;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use group_commit::Stats;
use shop::{
    Backlog, Charge, Ending, Error, GivenUp, Handover, Listed, Micros, Most, Number, Order,
    OrderId, OrderStatus, OrderStore, Outbox, PaymentStore, Pending, Placed, Reader, Reservation,
    Result, Settlement, Shelf, User, UserStore,
};

use crate::adapter::{Adapter, Database, ForFollowers, OpenError, Stores};

pub(crate) const ADAPTER: Adapter = Adapter { scheme: "memory", form: "memory:", open };

fn open(location: &str) -> std::result::Result<Stores, OpenError> {
    if location.is_empty() {
        return Ok(Stores::of(Memory::default()));
    }
    let text = "memory: takes nothing after the colon; for a file use sqlite:PATH";
    Err(OpenError::Location(text.to_owned()))
}

#[derive(Default)]
struct Memory(Mutex<State>);

#[async_trait]
impl Database for Memory {
    async fn check(&self) -> Result<()> {
        Ok(())
    }

    fn told(&self) -> String {
        "memory: nothing is durable".to_owned()
    }

    fn stats(&self) -> Option<Stats> {
        None
    }

    fn for_followers(self: Arc<Self>) -> Option<ForFollowers> {
        Some(ForFollowers::of(&self))
    }
}

#[derive(Default)]
struct State {
    users: HashMap<String, User>,
    /// In the sequence of their numbers, which begin with 1.
    orders: Vec<Order>,
    by_id: HashMap<OrderId, usize>,
    by_key: HashMap<String, usize>,
    payments: HashMap<String, Settlement>,
    /// By workflow and step.
    steps: HashMap<(String, String), String>,
    outbox: BTreeMap<i64, Charge>,
    /// The number of the youngest row there ever was of the outbox, and of the events.
    numbered: i64,
    callbacks: HashMap<String, String>,
    events: BTreeMap<Number, String>,
    given_up: Vec<GivenUp>,
    shelves: BTreeMap<String, Shelf>,
    reservations: Vec<Reservation>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Where this order is, if this reader may see it.
    fn visible(&self, reader: Reader, id: OrderId) -> Option<usize> {
        self.by_id.get(&id).copied().filter(|index| visible(reader, &self.orders[*index]))
    }

    fn insert(&mut self, order: Order, handover: Handover) -> Result<Placed> {
        if let Some(found) = self.by_key.get(&order.key).map(|index| &self.orders[*index]) {
            return Ok(Placed::Existing(found.clone()));
        }
        if self.by_id.contains_key(&order.id) {
            return Err(Error::Internal("two orders have the same id".to_owned()));
        }
        if let Handover::Outbox { most } = handover
            && self.outbox.len() as u64 >= most
        {
            return Err(Backlog::full(most));
        }
        if let (Handover::Outbox { .. }, Some(charge)) = (handover, order.charge()) {
            self.numbered += 1;
            self.outbox.insert(self.numbered, charge);
        }
        let index = self.orders.len();
        self.by_key.insert(order.key.clone(), index);
        self.by_id.insert(order.id, index);
        self.orders.push(order.clone());
        Ok(Placed::New(order))
    }

    /// The order as it then is, and whether it has become final by this.
    fn settle(&mut self, settlement: Settlement, at: Micros) -> Result<(Order, bool)> {
        let index = *self.by_key.get(&settlement.key).ok_or(Error::NotFound)?;
        let order = &mut self.orders[index];
        let is_new = order.status == OrderStatus::Pending;
        if is_new {
            let Ending { status, charge_id, reason } = Ending::from(&settlement.verdict);
            (order.status, order.reason) = (status, reason);
            order.charge_id = charge_id.map(str::to_owned);
            order.settled_at = Some(at);
            order.card = None;
        }
        Ok((order.clone(), is_new))
    }
}

#[async_trait]
impl UserStore for Memory {
    async fn insert(&self, user: User) -> Result<()> {
        let mut state = self.state();
        if state.users.contains_key(&user.email) {
            return Err(Error::EmailTaken);
        }
        state.users.insert(user.email.clone(), user);
        Ok(())
    }

    async fn find(&self, email: &str) -> Result<Option<User>> {
        Ok(self.state().users.get(email).cloned())
    }
}

#[async_trait]
impl OrderStore for Memory {
    async fn insert(&self, order: Order, handover: Handover) -> Result<Placed> {
        self.state().insert(order, handover)
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order> {
        Ok(self.state().settle(settlement, at)?.0)
    }

    async fn get(&self, reader: Reader, id: OrderId) -> Result<Option<Order>> {
        let state = self.state();
        Ok(state.visible(reader, id).map(|index| state.orders[index].clone()))
    }

    async fn list(&self, reader: Reader, after: Option<OrderId>, most: Most) -> Result<Listed> {
        let state = self.state();
        let after = after.map(|id| state.visible(reader, id).ok_or(Error::NotFound)).transpose()?;
        let from = after.map_or(0, |index| index + 1);
        let mut left = state.orders[from..].iter().filter(|o| visible(reader, o)).peekable();
        let (mut orders, mut bytes) = (Vec::new(), 0);
        while orders.len() < most.orders as usize && (bytes < most.bytes || orders.is_empty()) {
            let Some(order) = left.next() else { break };
            let items = serde_json::to_vec(&order.items);
            bytes += items.map_err(|e| Error::Internal(e.to_string()))?.len();
            orders.push(order.clone());
        }
        Ok(Listed { orders, more: left.peek().is_some() })
    }

    async fn pending(&self, numbers: Range<Number>, limit: u32) -> Result<Pending> {
        let state = self.state();
        let numbered = (1..).zip(&state.orders);
        let left =
            numbered.filter(|(n, o)| numbers.contains(n) && o.status == OrderStatus::Pending);
        let orders = left.take(limit as usize).map(|(n, o)| (n, o.clone())).collect();
        Ok(Pending { orders, newest: state.orders.len() as Number })
    }
}

fn visible(reader: Reader, order: &Order) -> bool {
    match reader {
        Reader::Customer(id) => order.customer == id,
        Reader::Operator => true,
    }
}

#[async_trait]
impl PaymentStore for Memory {
    async fn find(&self, key: &str) -> Result<Option<Settlement>> {
        Ok(self.state().payments.get(key).cloned())
    }

    async fn record(&self, settlement: Settlement) -> Result<Settlement> {
        let mut state = self.state();
        Ok(state.payments.entry(settlement.key.clone()).or_insert(settlement).clone())
    }
}

#[async_trait]
impl Outbox for Memory {
    async fn claim(&self, behind: i64, limit: u32, _: Duration) -> Result<Vec<(i64, Charge)>> {
        let state = self.state();
        let rows = state.outbox.iter().filter(|(n, _)| **n > behind);
        Ok(rows.take(limit as usize).map(|(n, c)| (*n, c.clone())).collect())
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Charge)>> {
        Outbox::claim(self, 0, limit, Duration::ZERO).await
    }

    async fn sent(&self, rows: Vec<i64>) -> Result<()> {
        let mut state = self.state();
        for row in rows {
            state.outbox.remove(&row);
        }
        Ok(())
    }

    async fn backlog(&self) -> Result<Backlog> {
        let state = self.state();
        let first = state.outbox.values().next().and_then(|charge| state.by_key.get(&charge.key));
        let oldest = first.map(|index| state.orders[*index].created_at);
        Ok(Backlog { charges: state.outbox.len() as u64, oldest })
    }
}

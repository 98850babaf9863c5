//! Everything behind one lock, gone when the process ends: for tests. It makes the same promises
//! as the databases, except durability.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use shop::{
    Charge, Error, Handover, Micros, Order, OrderId, OrderStatus, OrderStore, Outbox, PaymentStore,
    Placed, Reader, Result, Settlement, User, UserStore, Verdict,
};

#[derive(Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    users: HashMap<String, User>,
    orders: BTreeMap<OrderId, Order>,
    order_ids: HashMap<String, OrderId>,
    payments: HashMap<String, Settlement>,
    outbox: BTreeMap<i64, Charge>,
    /// The number of the youngest outbox row there ever was.
    numbered: i64,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut state = self.state();
        if let Some(found) = state.order_ids.get(&order.key).and_then(|id| state.orders.get(id)) {
            return Ok(Placed::Existing(found.clone()));
        }
        if state.orders.contains_key(&order.id) {
            return Err(Error::Internal("two orders have the same id".to_owned()));
        }
        if let (Handover::Outbox, Some(charge)) = (handover, order.charge()) {
            state.numbered += 1;
            let number = state.numbered;
            state.outbox.insert(number, charge);
        }
        state.order_ids.insert(order.key.clone(), order.id);
        state.orders.insert(order.id, order.clone());
        Ok(Placed::New(order))
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order> {
        let mut state = self.state();
        let id = *state.order_ids.get(&settlement.key).ok_or(Error::NotFound)?;
        let order = state.orders.get_mut(&id).ok_or(Error::NotFound)?;
        if order.status == OrderStatus::Pending {
            (order.status, order.charge_id) = match settlement.verdict {
                Verdict::Paid { charge_id } => (OrderStatus::Paid, Some(charge_id)),
                Verdict::Declined => (OrderStatus::Declined, None),
            };
            order.settled_at = Some(at);
            order.card = None;
        }
        Ok(order.clone())
    }

    async fn get(&self, reader: Reader, id: OrderId) -> Result<Option<Order>> {
        Ok(self.state().orders.get(&id).filter(|o| visible(reader, o)).cloned())
    }

    async fn list(&self, reader: Reader, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>> {
        let state = self.state();
        let orders = state.orders.values().filter(|o| after.is_none_or(|after| o.id > after));
        Ok(orders.filter(|o| visible(reader, o)).take(limit as usize).cloned().collect())
    }

    async fn pending(&self, created: Range<Micros>, limit: u32) -> Result<Vec<Order>> {
        let state = self.state();
        let left = |o: &&Order| o.status == OrderStatus::Pending && created.contains(&o.created_at);
        let mut orders: Vec<_> = state.orders.values().filter(left).collect();
        orders.sort_by_key(|o| (o.created_at, o.id));
        Ok(orders.into_iter().take(limit as usize).cloned().collect())
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
    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Charge)>> {
        let state = self.state();
        Ok(state.outbox.iter().take(limit as usize).map(|(n, c)| (*n, c.clone())).collect())
    }

    async fn sent(&self, rows: Vec<i64>) -> Result<()> {
        let mut state = self.state();
        for row in rows {
            state.outbox.remove(&row);
        }
        Ok(())
    }

    async fn depth(&self) -> Result<u64> {
        Ok(self.state().outbox.len() as u64)
    }
}

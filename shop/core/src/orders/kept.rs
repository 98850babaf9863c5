//! A store of orders for tests: as much as a sweep needs.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Listed, Most, Number, Order, OrderId, OrderStatus, OrderStore, Pending, Placed, Reader,
};
use crate::{Error, Handover, Micros, Result, Settlement, UserId, Verdict};

#[derive(Default)]
pub(crate) struct Kept(pub(crate) Mutex<Vec<Order>>, Mutex<HashMap<Number, Instant>>);

impl Kept {
    pub(crate) fn count(&self, status: OrderStatus) -> usize {
        self.0.lock().unwrap().iter().filter(|o| o.status == status).count()
    }

    pub(crate) fn leave(&self, key: &str) {
        self.0.lock().unwrap().push(pending(key));
    }

    pub(crate) async fn pay(&self, key: &str) {
        let verdict = Verdict::Paid { charge_id: "ch".to_owned() };
        let settlement = Settlement { key: key.to_owned(), amount_cents: 450, verdict };
        self.settle(settlement, 0).await.unwrap();
    }
}

fn pending(key: &str) -> Order {
    Order {
        id: OrderId(Uuid::now_v7()),
        key: key.to_owned(),
        customer: UserId(Uuid::nil()),
        fingerprint: String::new(),
        items: Vec::new(),
        total_cents: 450,
        card: Some("card".to_owned()),
        status: OrderStatus::Pending,
        charge_id: None,
        reason: None,
        created_at: 0,
        settled_at: None,
    }
}

#[async_trait]
impl OrderStore for Kept {
    async fn insert(&self, order: Order, _: Handover) -> Result<Placed> {
        self.0.lock().unwrap().push(order.clone());
        Ok(Placed::New(order))
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order> {
        let mut orders = self.0.lock().unwrap();
        let order = orders.iter_mut().find(|order| order.key == settlement.key);
        let order = order.ok_or(Error::NotFound)?;
        (order.status, order.settled_at) = (OrderStatus::Paid, Some(at));
        let Verdict::Paid { charge_id } = settlement.verdict else {
            return Err(Error::NotFound);
        };
        order.charge_id = Some(charge_id);
        Ok(order.clone())
    }

    async fn get(&self, _: Reader, _: OrderId) -> Result<Option<Order>> {
        Ok(None)
    }

    async fn list(&self, _: Reader, _: Option<OrderId>, _: Most) -> Result<Listed> {
        Ok(Listed { orders: Vec::new(), more: false })
    }

    async fn pending(&self, numbers: Range<Number>, limit: u32) -> Result<Pending> {
        let orders = self.0.lock().unwrap();
        let left = (1..).zip(orders.iter()).filter(|(number, order)| {
            numbers.contains(number) && order.status == OrderStatus::Pending
        });
        let left = left.map(|(number, order)| (number, order.clone()));
        Ok(Pending { orders: left.take(limit as usize).collect(), newest: orders.len() as Number })
    }

    async fn claim(&self, mut numbers: Vec<Number>, span: Duration) -> Result<Vec<Number>> {
        let left = self.pending(0..Number::MAX, u32::MAX).await?.orders;
        let left: HashSet<Number> = left.into_iter().map(|(number, _)| number).collect();
        let (mut claims, now) = (self.1.lock().unwrap(), Instant::now());
        claims.retain(|_, until| *until > now);
        numbers.retain(|number| left.contains(number) && !claims.contains_key(number));
        claims.extend(numbers.iter().map(|number| (*number, now + span)));
        Ok(numbers)
    }

    async fn let_go(&self, numbers: Vec<Number>) -> Result<()> {
        self.1.lock().unwrap().retain(|number, _| !numbers.contains(number));
        Ok(())
    }
}

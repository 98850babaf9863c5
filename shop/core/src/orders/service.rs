//! The workflow at the heart: verify, insert as pending, charge; settle now or later. From the insertion
//! on no caller can end it.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Listed, Most, Order, OrderId, OrderStatus, OrderStore, Orders, Page, PlaceOrder, Placed, Reader,
};
use crate::{Charged, Error, Payments, Result, Settlement, Tasks, Verdict, Verify, now_us};

/// The most orders on one page.
pub const PAGE_MAX: u32 = 1_000;
/// A page ends when its items have so many bytes. 1,000 usual orders have half of them; without this
/// bound 1,000 of the longest would have 16 MiB.
pub const PAGE_BYTES: usize = 256 * 1024;

/// Orders over a store, somebody who knows customers and a service that takes money.
pub struct OrderService {
    customers: Arc<dyn Verify>,
    pub(super) workflow: Arc<Workflow>,
    operator_token: String,
    tasks: Arc<Tasks>,
}

/// What is finished once it has begun.
pub(super) struct Workflow {
    pub(super) store: Arc<dyn OrderStore>,
    payments: Arc<dyn Payments>,
}

impl OrderService {
    /// The service over these parts. Whoever shows `operator_token` may read all orders; an empty
    /// one belongs to nobody. Orders are inserted, charged and settled in `tasks`.
    #[must_use]
    pub fn new(
        customers: Arc<dyn Verify>,
        store: Arc<dyn OrderStore>,
        payments: Arc<dyn Payments>,
        operator_token: String,
        tasks: Arc<Tasks>,
    ) -> Self {
        let workflow = Arc::new(Workflow { store, payments });
        Self { customers, workflow, operator_token, tasks }
    }

    async fn reader(&self, token: &str) -> Result<Reader> {
        if !self.operator_token.is_empty() && same(token, &self.operator_token) {
            return Ok(Reader::Operator);
        }
        Ok(Reader::Customer(self.customers.verify(token).await?))
    }
}

impl Workflow {
    async fn place(&self, asked: Order) -> Result<Order> {
        let (customer, fingerprint) = (asked.customer, asked.fingerprint.clone());
        match self.store.insert(asked, self.payments.handover()).await? {
            Placed::New(order) => self.charge(order).await,
            Placed::Existing(order) => {
                if order.customer != customer || order.fingerprint != fingerprint {
                    return Err(Error::KeyReused);
                }
                self.charge(order).await
            }
        }
    }

    pub(super) async fn charge(&self, order: Order) -> Result<Order> {
        let Some(charge) = order.charge() else { return Ok(order) };
        match self.payments.charge(charge).await.map_err(Error::after_the_fact)? {
            Charged::Now(settlement) => self.settle(settlement).await,
            Charged::Later => Ok(order),
        }
    }

    async fn settle(&self, settlement: Settlement) -> Result<Order> {
        let verdict = settlement.verdict.clone();
        let order = self.store.settle(settlement, now_us()).await?;
        let agrees = match (&verdict, order.status) {
            (Verdict::Paid { charge_id }, OrderStatus::Paid) => {
                order.charge_id.as_ref() == Some(charge_id)
            }
            (Verdict::Declined, OrderStatus::Declined) => true,
            _ => false,
        };
        if agrees {
            return Ok(order);
        }
        let text =
            format!("order {} is {:?} but was settled as {verdict:?}", order.key, order.status);
        Err(Error::Internal(text))
    }
}

#[async_trait]
impl Orders for OrderService {
    async fn place(&self, token: &str, request: PlaceOrder) -> Result<Order> {
        let customer = self.customers.verify(token).await?;
        let asked = request.order(customer)?;
        let workflow = Arc::clone(&self.workflow);
        self.tasks.run(async move { workflow.place(asked).await }).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Order> {
        self.workflow.settle(settlement).await
    }

    async fn get(&self, token: &str, id: OrderId) -> Result<Order> {
        let reader = self.reader(token).await?;
        self.workflow.store.get(reader, id).await?.ok_or(Error::NotFound)
    }

    async fn list(&self, token: &str, after: Option<OrderId>, limit: u32) -> Result<Page> {
        let reader = self.reader(token).await?;
        let most = Most { orders: limit.clamp(1, PAGE_MAX), bytes: PAGE_BYTES };
        let Listed { orders, more } = self.workflow.store.list(reader, after, most).await?;
        let next = orders.last().filter(|_| more).map(|order| order.id);
        Ok(Page { orders, next })
    }
}

/// Compares in time that does not depend on where the two differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

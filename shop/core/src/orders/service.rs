//! The workflow at the heart: verify, insert as pending, charge; settle now or later. From the insertion
//! on no caller can end it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::{Listed, Most, Order, OrderId, OrderStore, Orders, Page, PlaceOrder, Placed, Reader};
use crate::{
    Availability, Charged, Error, Following, Payments, Result, Settled, Settlement, Tasks, Verdict,
    Verify, now_us,
};

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
    following: Option<Following>,
}

impl OrderService {
    /// The service over these parts. Whoever shows `operator_token` may read all orders; an empty
    /// one belongs to nobody. Orders are inserted, charged and settled in `tasks`. Those who follow, if
    /// anybody does, are told of an order before who settled it hears of that.
    #[must_use]
    pub fn new(
        customers: Arc<dyn Verify>,
        store: Arc<dyn OrderStore>,
        payments: Arc<dyn Payments>,
        operator_token: String,
        tasks: Arc<Tasks>,
        following: Option<Following>,
    ) -> Self {
        let workflow = Arc::new(Workflow { store, payments, following });
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
    async fn place(&self, asked: Order, callback_url: Option<String>) -> Result<Order> {
        let (customer, fingerprint) = (asked.customer, asked.fingerprint.clone());
        match self.insert(asked, callback_url).await? {
            Placed::New(order) => self.charge(order).await,
            Placed::Existing(order) => {
                if order.customer != customer || order.fingerprint != fingerprint {
                    return Err(Error::KeyReused);
                }
                self.charge(order).await
            }
        }
    }

    async fn insert(&self, order: Order, callback_url: Option<String>) -> Result<Placed> {
        let handover = self.payments.handover();
        match &self.following {
            Some(following) => following.events.insert(order, handover, callback_url).await,
            None => self.store.insert(order, handover).await,
        }
    }

    pub(super) async fn charge(&self, order: Order) -> Result<Order> {
        let Some(charge) = order.charge() else { return Ok(order) };
        if self.lacks(&order).await? {
            return self.settle(charge.out_of_stock()).await;
        }
        match self.payments.charge(charge).await.map_err(Error::after_the_fact)? {
            Charged::Now(settlement) => self.settle(settlement).await,
            Charged::Later => Ok(order),
        }
    }

    /// Reserves what an order needs, if somebody here is asked for it; tells whether something is not there.
    async fn lacks(&self, order: &Order) -> Result<bool> {
        let stock = self.following.as_ref().and_then(|following| following.stock.as_ref());
        let Some(stock) = stock else { return Ok(false) };
        let reserved = stock.reserve(&order.key, &order.items).await;
        Ok(reserved.map_err(Error::after_the_fact)? == Availability::Lacking)
    }

    /// What is decided stays so.
    async fn cancel(&self, order: Order) -> Result<Order> {
        let Some(charge) = order.charge() else { return Ok(order) };
        // Reserved as if it were charged: so there is something to release, whoever comes first.
        if self.lacks(&order).await? {
            return self.settle(charge.out_of_stock()).await;
        }
        match self.payments.cancel(charge).await.map_err(Error::after_the_fact)? {
            Charged::Now(settlement) => self.settle(settlement).await,
            Charged::Later => Ok(order),
        }
    }

    async fn settle(&self, settlement: Settlement) -> Result<Order> {
        let verdict = settlement.verdict.clone();
        let (order, owed) = self.record(settlement).await?;
        self.finish(&verdict, order, owed).await
    }

    /// As `settle` of each, recorded together.
    async fn settle_all(&self, settlements: Vec<Settlement>) -> Vec<Result<Order>> {
        let verdicts: Vec<Verdict> = settlements.iter().map(|one| one.verdict.clone()).collect();
        let recorded = self.record_all(settlements).await;
        let finished = verdicts.iter().zip(recorded).map(async |(verdict, recorded)| {
            let (order, owed) = recorded?;
            self.finish(verdict, order, owed).await
        });
        join_all(finished).await
    }

    /// What follows when a settlement is recorded, which left the order like this.
    async fn finish(
        &self,
        verdict: &Verdict,
        order: Order,
        owed: Option<Settled>,
    ) -> Result<Order> {
        if !order.is_as(verdict) {
            let text =
                format!("order {} is {:?} but was settled as {verdict:?}", order.key, order.status);
            return Err(Error::Internal(text));
        }
        if let (Some(following), Some(settled)) = (&self.following, owed) {
            following.tell(&settled).await.map_err(Error::after_the_fact)?;
        }
        Ok(order)
    }

    /// The order as it then is, and its event if that is owed.
    async fn record(&self, settlement: Settlement) -> Result<(Order, Option<Settled>)> {
        match &self.following {
            Some(following) => following.events.settle(settlement, now_us()).await,
            None => Ok((self.store.settle(settlement, now_us()).await?, None)),
        }
    }

    async fn record_all(&self, all: Vec<Settlement>) -> Vec<Result<(Order, Option<Settled>)>> {
        match &self.following {
            Some(following) => following.events.settle_all(all, now_us()).await,
            None => {
                let settled = self.store.settle_all(all, now_us()).await;
                settled.into_iter().map(|order| Ok((order?, None))).collect()
            }
        }
    }
}

#[async_trait]
impl Orders for OrderService {
    async fn place(&self, token: &str, request: PlaceOrder) -> Result<Order> {
        let customer = self.customers.verify(token).await?;
        let callback_url = request.callback_url.clone();
        let asked = request.order(customer)?;
        let workflow = Arc::clone(&self.workflow);
        self.tasks.run(async move { workflow.place(asked, callback_url).await }).await
    }

    async fn cancel(&self, token: &str, id: OrderId) -> Result<Order> {
        let reader = Reader::Customer(self.customers.verify(token).await?);
        let order = self.workflow.store.get(reader, id).await?.ok_or(Error::NotFound)?;
        let workflow = Arc::clone(&self.workflow);
        self.tasks.run(async move { workflow.cancel(order).await }).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Order> {
        self.workflow.settle(settlement).await
    }

    async fn settle_all(&self, settlements: Vec<Settlement>) -> Vec<Result<Order>> {
        self.workflow.settle_all(settlements).await
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

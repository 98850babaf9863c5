//! Payments as orders meet it: a charge is begun with its order, a cancellation is a call.

use std::sync::Arc;

use async_trait::async_trait;
use service::{Queued, bounds};
use shop::{Charge, Charged, Error, Executor, Handover, Payments, Result, Workflows};
use stores::Stores;

/// A workflow that has begun, which may be cancelled.
pub(crate) struct Begun {
    pub(crate) workflows: Queued,
    pub(crate) payments: Arc<dyn Payments>,
}

#[async_trait]
impl Payments for Begun {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        self.workflows.charge(charge).await
    }

    /// Its workflow finds what stands, and ends with it.
    async fn cancel(&self, charge: Charge) -> Result<Charged> {
        self.payments.cancel(charge).await
    }

    fn handover(&self) -> Handover {
        self.workflows.handover()
    }
}

/// The workflows of these orders.
pub(crate) fn workflows(stores: &Stores, executor: Arc<dyn Executor>) -> Workflows {
    Workflows { begun: Arc::clone(&stores.outbox), executor, most: bounds::IN_WORK as usize }
}

/// Says why a step failed, which is tried again.
pub(crate) fn failed(error: &Error) {
    process_log::tell("step-failed", || [("error", error.to_string().into())]);
}

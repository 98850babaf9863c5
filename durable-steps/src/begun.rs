//! Payments as orders meet it: a charge is begun with its order, a cancellation is a call.

use std::sync::Arc;

use async_trait::async_trait;
use http_server::Settings;
use service::{CallArgs, Queued, bounds, settings};
use shop::{Charge, Charged, Error, Executor, Handover, Payments, Result, Workflows};
use stores::Stores;
use tokio::sync::Notify;

/// A workflow that has begun, which may be cancelled.
pub(crate) struct Begun {
    workflows: Queued,
    payments: Arc<dyn Payments>,
}

impl Begun {
    /// `wake` hears of each that begins; of `most` that have not ended, no more are begun.
    pub(crate) fn new(wake: &Arc<Notify>, most: u64, payments: &Arc<dyn Payments>) -> Self {
        let workflows = Queued::new(Arc::clone(wake), most);
        Self { workflows, payments: Arc::clone(payments) }
    }
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

/// What is told of what begins, of whom it calls and of what it keeps.
pub(crate) fn settings(stores: &Stores, calls: &CallArgs, begun_max: u64) -> Settings {
    let asking = calls.settings().unwrap_or_else(settings::asking);
    let kept = settings::kept(stores).and(asking).and(settings::own_tokens());
    kept.with("orders whose workflow has not ended", format!("{begun_max}; then 503"))
}

/// The workflows of these orders.
pub(crate) fn workflows(stores: &Stores, executor: Arc<dyn Executor>) -> Workflows {
    Workflows { begun: Arc::clone(&stores.outbox), executor, most: bounds::IN_WORK as usize }
}

/// Says why a step failed, which is tried again.
pub(crate) fn failed(error: &Error) {
    process_log::tell("step-failed", || [("error", error.to_string().into())]);
}

//! Orders at work: taken, handed over, settled.

use std::sync::Arc;

use anyhow::{Context, bail};
use http_server::{Metrics, Settings};
use service::{Gauges, metrics};
use shop::{OrderService, Tasks};
use stores::Stores;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Orders at work.
pub(crate) struct Begun {
    pub(super) orders: Arc<OrderService>,
    pub(super) outbox: Arc<dyn shop::Outbox>,
    pub(super) told: Settings,
    pub(super) placing: Arc<Tasks>,
    pub(super) publishing: Arc<Tasks>,
    pub(super) stop: CancellationToken,
    pub(super) relay: JoinHandle<()>,
    pub(super) settle: JoinHandle<Result<(), brokers::Error>>,
}

impl Begun {
    /// What customers ask.
    pub(crate) fn served(&self) -> Arc<OrderService> {
        Arc::clone(&self.orders)
    }

    /// What the process says of it.
    pub(crate) fn told(&mut self) -> Settings {
        std::mem::take(&mut self.told)
    }

    /// What waits, and what the store does.
    pub(crate) fn metrics(&self, stores: &Stores) -> Metrics {
        metrics::with_store(Gauges::kept(&self.outbox), stores)
    }

    /// Returns if settlements are consumed no more, which is an error: who answers /readyz and consumes nothing would
    /// look well for ever.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.settle).await?.context("consuming settlements")?;
        bail!("consuming settlements ended by itself");
    }

    /// Finishes what has begun.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        service::finish([&self.placing, &self.publishing]).await;
        self.stop.cancel();
        self.relay.abort();
        self.settle.await?.context("consuming settlements")
    }
}

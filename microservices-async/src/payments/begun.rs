//! Payments at work: charges consumed, settlements published.

use std::sync::Arc;

use anyhow::{Context, bail};
use brokers::{Broker, Topic};
use service::{environment, poison};
use shop::{PaymentService, Payments, Tasks};
use stores::Stores;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use web::client::{Http, RemoteProvider};

use super::PaymentsArgs;
use crate::consume::Wish;
use crate::{broker, consume};

/// Payments at work.
pub(crate) struct Begun {
    charging: Arc<Tasks>,
    stop: CancellationToken,
    work: JoinHandle<Result<(), brokers::Error>>,
}

impl PaymentsArgs {
    /// Charges what is asked for.
    pub(crate) fn begin(
        self,
        stores: &Stores,
        broker: &Arc<dyn Broker>,
        http: Http,
    ) -> anyhow::Result<Begun> {
        let Self { provider, at_once, work, mistakes } = self;
        let merchant = environment::merchant_credential()?;
        let network = Arc::new(RemoteProvider::new(http, &provider, merchant));
        let network = poison::network(work.network(network));
        let (charging, memory) =
            (service::tasks(), mistakes.memory.of(Arc::clone(&stores.payments)));
        let payments: Arc<dyn Payments> =
            Arc::new(PaymentService::new(memory, network, Arc::clone(&charging)));
        let stop = CancellationToken::new();
        let settlements = Topic::new(Arc::clone(broker), broker::SETTLEMENTS);
        let (mode, options) = (mistakes.consume_mode(), consume::options(at_once));
        let consumed = |wish, topic| {
            let (payments, asked) = (Arc::clone(&payments), Topic::new(Arc::clone(broker), topic));
            let (settlements, stop) = (settlements.clone(), stop.clone());
            consume::charges(wish, payments, asked, settlements, mode, options, stop)
        };
        let charges = consumed(Wish::Make, broker::CHARGES);
        let cancellations = consumed(Wish::Cancel, broker::CANCELLATIONS);
        let both = async { tokio::try_join!(charges, cancellations).map(drop) };
        Ok(Begun { charging, stop, work: tokio::spawn(both) })
    }
}

impl Begun {
    /// As that of orders.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.work).await?.context("consuming charges")?;
        bail!("consuming charges ended by itself");
    }

    /// Finishes what has begun.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let consumed = self.work.await?.context("consuming charges");
        service::finish([&self.charging]).await;
        consumed
    }
}

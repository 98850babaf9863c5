//! Wiring of the payments service: charges come by message, settlements go by message.

use std::sync::Arc;

use anyhow::{Context, bail};
use brokers::{Broker, Topic};
use clap::Args;
use http_server::Settings;
use service::{ServiceArgs, Work, bounds, environment, metrics, poison, settings};
use shop::{PaymentService, Tasks};
use stores::Stores;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use web::client::{Base, Http, Patience, RemoteProvider};
use web::{Ready, Routes};

use crate::broker::{self, BrokerArgs};
use crate::careless::Mistakes;
use crate::{consume, needs};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    payments: PaymentsArgs,
}

/// How charges are made, wherever that is.
#[derive(Args)]
pub(crate) struct PaymentsArgs {
    /// The card network
    #[arg(long, value_name = "http://HOST:PORT")]
    provider: Base,
    /// Charges in work at once
    #[arg(long, value_name = "N", default_value_t = bounds::IN_WORK, value_parser = clap::value_parser!(u32).range(1..=i64::from(bounds::IN_WORK)))]
    at_once: u32,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    mistakes: Mistakes,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, broker, payments } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (told, broker) = (broker.settings()?, broker.connect()?);
    let http = Http::default();
    let ready = needs::broker(payments.needs(needs::store(Ready::new(), &stores), &http), &broker);
    let (told, ready) = (told.and(settings::kept(&stores)).and(payments.told()), Arc::new(ready));
    let counted = metrics::of_store(&stores);
    let mut payments = payments.begin(&stores, &broker, http)?;
    tokio::select! {
        served = service::run("payments", args.listen, Routes::new(), ready, told, counted) => served?,
        ended = payments.ended() => return ended,
    }
    payments.finish().await
}

/// Payments at work.
pub(crate) struct Begun {
    charging: Arc<Tasks>,
    stop: CancellationToken,
    work: JoinHandle<Result<(), brokers::Error>>,
}

impl PaymentsArgs {
    /// What the process says of it.
    pub(crate) fn told(&self) -> Settings {
        let told = settings::charging().and(settings::patient(Patience::default()));
        let told = told.and(self.work.settings()).and(consume::settings(self.at_once));
        told.and(self.mistakes.settings())
    }

    /// With the card network as something that is needed.
    pub(crate) fn needs(&self, ready: Ready, http: &Http) -> Ready {
        needs::network(ready, http, &self.provider)
    }

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
        let (charging, memory) = (service::tasks(), mistakes.memory(Arc::clone(&stores.payments)));
        let payments = Arc::new(PaymentService::new(memory, network, Arc::clone(&charging)));
        let stop = CancellationToken::new();
        let charges = Topic::new(Arc::clone(broker), broker::CHARGES);
        let settlements = Topic::new(Arc::clone(broker), broker::SETTLEMENTS);
        let (mode, options) = (mistakes.consume_mode(), consume::options(at_once));
        let work = consume::charges(payments, charges, settlements, mode, options, stop.clone());
        Ok(Begun { charging, stop, work: tokio::spawn(work) })
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

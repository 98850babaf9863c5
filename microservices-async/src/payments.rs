//! Wiring of the payments service: charges come by message, settlements go by message.

use std::sync::Arc;

use anyhow::{Context, bail};
use brokers::Topic;
use clap::Args;
use service::{ServiceArgs, Work, bounds, environment, metrics, poison, settings, timing};
use shop::PaymentService;
use tokio_util::sync::CancellationToken;
use web::client::{Base, Http, Patience, Probe, RemoteProvider};
use web::{Ready, Routes};

use crate::broker::{self, BrokerArgs};
use crate::careless::Mistakes;
use crate::consume;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    /// The card network
    #[arg(long, value_name = "http://HOST:PORT")]
    provider: Base,
    #[command(flatten)]
    broker: BrokerArgs,
    /// Charges in work at once
    #[arg(long, value_name = "N", default_value_t = bounds::IN_WORK, value_parser = clap::value_parser!(u32).range(1..=i64::from(bounds::IN_WORK)))]
    at_once: u32,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    mistakes: Mistakes,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, provider, broker, at_once, work, mistakes } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (told, broker) = (broker.settings()?, broker.connect()?);
    let (http, kept, queue) = (Http::default(), stores.clone(), Arc::clone(&broker));
    let network = Probe::ready(&http, &provider);
    let settings = told.and(settings::kept(&stores)).and(settings::charging());
    let settings = settings.and(settings::patient(Patience::default()));
    let settings = settings.and(work.settings()).and(consume::settings(at_once));
    let settings = settings.and(mistakes.settings());
    let ready = Ready::new()
        .needs("the store", timing::LOOK, move || kept.clone().check())
        .needs("the card network", timing::LOOK, move || network.clone().check())
        .needs("the broker", timing::LOOK, move || broker::reach(Arc::clone(&queue)));
    let merchant = environment::merchant_credential()?;
    let network = Arc::new(RemoteProvider::new(http, &provider, merchant));
    let network = poison::network(work.network(network));
    let (charging, counted) = (service::tasks(), metrics::of_store(&stores));
    let memory = mistakes.memory(stores.payments);
    let payments = Arc::new(PaymentService::new(memory, network, Arc::clone(&charging)));

    let stop = CancellationToken::new();
    let charges = Topic::new(Arc::clone(&broker), broker::CHARGES);
    let settlements = Topic::new(broker, broker::SETTLEMENTS);
    let (mode, ready) = (mistakes.consume_mode(), Arc::new(ready));
    let options = consume::options(at_once);
    let work = consume::charges(payments, charges, settlements, mode, options, stop.clone());
    let mut work = tokio::spawn(work);
    tokio::select! {
        served = service::run("payments", args.listen, Routes::new(), ready, settings, counted) => served?,
        // A service that answers /readyz and consumes nothing would look well for ever.
        ended = &mut work => {
            ended?.context("consuming charges")?;
            bail!("consuming charges ended by itself");
        }
    }
    stop.cancel();
    let consumed = work.await?.context("consuming charges");
    service::finish([&charging]).await;
    consumed
}

//! Wiring of the payments service: the card network is a call away.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use service::{CallArgs, Memory, ServiceArgs, Work, environment, metrics, needs, poison, settings};
use shop::PaymentService;
use web::client::{Base, Http, RemoteProvider};
use web::{Ready, Routes};

use crate::calls::Served;
use crate::patience::PatienceArgs;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    /// The card network
    #[arg(long, value_name = "http://HOST:PORT")]
    provider: Base,
    #[command(flatten)]
    patience: PatienceArgs,
    #[command(flatten)]
    calls: CallArgs,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    also: Served,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, provider, patience, calls, work, memory, also } = arguments;
    let patience = patience.patience();
    let stores = stores::open(&args.store).context("--store")?;
    let http = Http::default();
    let ready = needs::network(needs::store(Ready::new(), &stores), &http, &provider);
    let asking = calls.last_settings().unwrap_or_else(|| settings::patient(patience));
    let settings = settings::kept(&stores).and(settings::charging()).and(asking);
    let settings = settings.and(work.settings()).and(memory.settings());
    let merchant = environment::merchant_credential()?;
    let network =
        RemoteProvider::new(calls.last_client(&http), &provider, merchant).with_patience(patience);
    let network = poison::network(work.network(Arc::new(network)));
    let (charging, counted) = (service::tasks(), metrics::of_store(&stores));
    let payments = PaymentService::new(memory.of(stores.payments), network, Arc::clone(&charging));
    let payments = Arc::new(payments);
    let also = also.begin(Arc::clone(&payments) as _)?;
    let routes = Routes::new().charges(payments, environment::payments_guard()?);
    let (listen, ready) = (args.listen, Arc::new(ready));
    let limits = calls.limits();
    let served =
        service::run_within(limits, "payments", listen, routes, ready, settings, counted).await;
    also.await??;
    service::finish([&charging]).await;
    Ok(served?)
}

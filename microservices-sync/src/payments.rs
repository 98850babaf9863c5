//! Wiring of the payments service: the card network is a call away.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use service::{ServiceArgs, environment, poison, settings, timing};
use shop::PaymentService;
use web::client::{Base, Http, Probe, RemoteProvider};
use web::{Ready, Routes};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    /// The card network
    #[arg(long, value_name = "http://HOST:PORT")]
    provider: Base,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, provider } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (http, kept) = (Http::default(), stores.clone());
    let network = Probe::ready(&http, &provider);
    let ready = Ready::new().needs("the store", timing::LOOK, move || kept.clone().check()).needs(
        "the card network",
        timing::LOOK,
        move || network.clone().check(),
    );
    let settings = settings::kept(&stores).and(settings::charging());
    let merchant = environment::merchant_credential()?;
    let network = poison::network(Arc::new(RemoteProvider::new(http, &provider, merchant)));
    let charging = service::tasks();
    let payments = PaymentService::new(stores.payments, network, Arc::clone(&charging));
    let routes = Routes::new().charges(Arc::new(payments), environment::payments_guard()?);
    let served = service::run("payments", args.listen, routes, Arc::new(ready), settings).await;
    service::finish([&charging]).await;
    Ok(served?)
}

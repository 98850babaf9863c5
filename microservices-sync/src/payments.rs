//! Wiring of the payments service: the card network is a call away.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use shop::PaymentService;
use web::client::{Base, Dependencies, Http, RemoteProvider};
use web::{Routes, poison, service};

use crate::Place;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The card network
    #[arg(long, value_name = "http://HOST:PORT")]
    provider: Base,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { place, provider } = arguments;
    let stores = stores::open(&place.store).context("--store")?;
    let http = Http::default();
    let ready = Arc::new(Dependencies::new(http.clone(), &[&provider]));
    let network = poison::network(Arc::new(RemoteProvider::new(http, &provider)));
    let charging = service::tasks();
    let payments = PaymentService::new(stores.payments, network, Arc::clone(&charging));
    let routes = Routes::new().charges(Arc::new(payments));
    let served = service::run("payments", place.listen, routes, ready).await;
    service::finish([&charging]).await;
    Ok(served?)
}

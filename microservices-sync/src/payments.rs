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
    let payments = Arc::new(PaymentService::new(stores.payments, network));
    Ok(service::run("payments", place.listen, Routes::new().charges(payments), ready).await?)
}

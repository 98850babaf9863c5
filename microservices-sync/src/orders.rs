//! Wiring of the orders service: customers and money are a call away.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use shop::{OrderService, keep_recovering};
use web::client::{Base, Dependencies, Http, RemoteAuth, RemotePayments};
use web::{Routes, environment, service, timing};

use crate::Place;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The auth service
    #[arg(long, value_name = "http://HOST:PORT")]
    auth: Base,
    /// The payments service
    #[arg(long, value_name = "http://HOST:PORT")]
    payments: Base,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { place, auth, payments } = arguments;
    let stores = stores::open(&place.store).context("--store")?;
    let http = Http::default();
    let ready = Arc::new(Dependencies::new(http.clone(), &[&auth, &payments]));
    let auth = Arc::new(RemoteAuth::new(http.clone(), &auth));
    let payments = Arc::new(RemotePayments::new(http, &payments));
    let operator = environment::operator_token();
    let orders = Arc::new(OrderService::new(auth, stores.orders, payments, operator));
    let recovery =
        keep_recovering(Arc::clone(&orders), timing::RECOVERY_AGE, timing::RECOVERY_EVERY);
    tokio::spawn(recovery);
    Ok(service::run("orders", place.listen, Routes::new().orders(orders), ready).await?)
}

//! Wiring of the orders service: customers are known by their tokens, money is a message away.

use std::sync::Arc;

use anyhow::{Context, bail};
use brokers::Topic;
use clap::Args;
use http_server::Always;
use shop::OrderService;
use shop::auth::Tokens;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use web::{Routes, environment, service};

use crate::queued::Queued;
use crate::{Place, consume, relay};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The broker
    #[arg(long, value_name = "URL")]
    broker: String,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { place, broker } = arguments;
    let stores = stores::open(&place.store).context("--store")?;
    let broker = brokers::connect(&broker).context("--broker")?;
    let customers = Arc::new(Tokens::new(&environment::token_secret()?)?);
    let wake = Arc::new(Notify::new());
    let payments = Arc::new(Queued::new(Arc::clone(&wake)));
    let operator = environment::operator_token();
    let placing = service::tasks();
    let orders =
        OrderService::new(customers, stores.orders, payments, operator, Arc::clone(&placing));
    let orders = Arc::new(orders);

    let stop = CancellationToken::new();
    let charges = Topic::new(Arc::clone(&broker), consume::CHARGES);
    let settlements = Topic::new(broker, consume::SETTLEMENTS);
    let relay = tokio::spawn(relay::run(stores.outbox, charges, wake));
    let mut settle =
        tokio::spawn(consume::settlements(Arc::clone(&orders) as _, settlements, stop.clone()));
    tokio::select! {
        served = service::run("orders", place.listen, Routes::new().orders(orders), Arc::new(Always)) => served?,
        ended = &mut settle => {
            ended?.context("consuming settlements")?;
            bail!("consuming settlements ended by itself");
        }
    }
    service::finish([&placing]).await;
    stop.cancel();
    relay.abort();
    settle.await?.context("consuming settlements")
}

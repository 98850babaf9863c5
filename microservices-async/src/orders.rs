//! Wiring of the orders service: customers are known by their tokens, money is a message away.

mod begin;
mod begun;

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use service::{ServiceArgs, settings};
use web::{Ready, Routes};

use crate::broker::{BatchArgs, BrokerArgs};
use crate::careless::Trust;
use crate::followers::FollowerArgs;
use crate::needs;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    orders: OrdersArgs,
}

/// How orders are taken, wherever they are.
#[derive(Args)]
pub(crate) struct OrdersArgs {
    #[command(flatten)]
    batch: BatchArgs,
    /// Charges that may wait to be handed over to the broker; then orders are refused
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    outbox_max: u64,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    followers: FollowerArgs,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, broker, orders } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (told, broker) = (broker.settings()?, broker.connect()?);
    let ready = needs::store(needs::broker(Ready::new(), &broker), &stores);
    let told = told.and(settings::kept(&stores));
    let mut orders = orders.begin(&stores, &broker)?;
    let (told, metrics) = (told.and(orders.told()), orders.metrics(&stores));
    let (routes, ready) = (Routes::new().orders(orders.served()), Arc::new(ready));
    tokio::select! {
        served = service::run("orders", args.listen, routes, ready, told, metrics) => served?,
        ended = orders.ended() => return ended,
    }
    orders.finish().await
}

//! Wiring of the inventory: reservations and settlements come by HTTP.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use service::fanout::StockArgs;
use service::{ServiceArgs, environment, fanout, metrics, settings, timing};
use web::{Ready, Routes};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    stock: StockArgs,
}

pub(crate) async fn run(Arguments { args, stock }: Arguments) -> anyhow::Result<()> {
    let stores = stores::open(&args.store).context("--store")?;
    let kept = stores.clone();
    let ready = Ready::new().needs("the store", timing::LOOK, move || kept.clone().check());
    let settings = settings::kept(&stores).and(stock.settings());
    let inventory = fanout::inventory(&stores, stock)?;
    let routes = Routes::new().stock(stores.stock()?, stock.stock);
    let routes = routes.settlements(Arc::clone(&inventory) as _, environment::inventory_guard()?);
    let routes = routes.reservations(inventory, environment::inventory_guard()?);
    let (counted, ready) = (metrics::of_store(&stores), Arc::new(ready));
    Ok(service::run("inventory", args.listen, routes, ready, settings, counted).await?)
}

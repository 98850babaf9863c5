//! Wiring of the inventory: reservations and settlements come by message, charges go on by message.

use std::sync::Arc;

use anyhow::{Context, bail};
use brokers::Topic;
use clap::Args;
use service::fanout::StockArgs;
use service::{ServiceArgs, fanout, metrics, settings};
use tokio::try_join;
use tokio_util::sync::CancellationToken;
use web::{Ready, Routes};

use crate::broker::{self, BatchArgs, BrokerArgs};
use crate::consume::Answered;
use crate::{consume, followers, needs, way};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    stock: StockArgs,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, broker, batch, stock } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (told, broker) = (broker.settings()?, broker.connect()?);
    let ready = needs::store(needs::broker(Ready::new(), &broker), &stores);
    let settings = told.and(settings::kept(&stores)).and(stock.settings()).and(batch.settings());
    let inventory = fanout::inventory(&stores, stock)?;
    let routes = Routes::new().stock(stores.stock()?, stock.stock);
    let (counted, ready) = (metrics::of_store(&stores), Arc::new(ready));

    let stop = CancellationToken::new();
    let wanted = Topic::new(Arc::clone(&broker), way::RESERVATIONS);
    let charges = Topic::new(Arc::clone(&broker), broker::CHARGES);
    let cancellations = Topic::new(Arc::clone(&broker), broker::CANCELLATIONS);
    let lacking = Topic::new(Arc::clone(&broker), broker::SETTLEMENTS);
    let settled = Topic::new(broker, followers::STOCK);
    let (asked, told, most) = (stop.clone(), stop.clone(), batch.most());
    let stock = Arc::clone(&inventory) as _;
    let answered = Answered { stock, charges, cancellations, lacking };
    let work = async move {
        let reserving = consume::reservations(answered, wanted, most, asked);
        try_join!(reserving, consume::settled(inventory, settled, most, told)).map(drop)
    };
    let mut work = tokio::spawn(work);
    tokio::select! {
        served = service::run("inventory", args.listen, routes, ready, settings, counted) => served?,
        ended = &mut work => {
            ended?.context("consuming reservations and settlements")?;
            bail!("consuming reservations and settlements ended by itself");
        }
    }
    stop.cancel();
    work.await?.context("consuming reservations and settlements")
}

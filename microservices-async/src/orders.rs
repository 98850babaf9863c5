//! Wiring of the orders service: customers are known by their tokens, money is a message away.

use std::sync::Arc;

use anyhow::{Context, bail};
use brokers::Topic;
use clap::Args;
use service::{ServiceArgs, environment, fanout, metrics, settings, timing};
use shop::OrderService;
use shop::auth::Tokens;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use web::{Ready, Routes};

use crate::broker::{self, BatchArgs, BrokerArgs};
use crate::careless::Trust;
use crate::courier::Messages;
use crate::followers::FollowerArgs;
use crate::gauges::Gauges;
use crate::queued::Queued;
use crate::{consume, relay};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    broker: BrokerArgs,
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
    let Arguments { args, broker, batch, outbox_max, trust, followers } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (told, broker) = (broker.settings()?, broker.connect()?);
    let (kept, queue) = (stores.clone(), Arc::clone(&broker));
    let reach = move || broker::reach(Arc::clone(&queue));
    let ready = Ready::new().needs("the broker", timing::LOOK, reach);
    let ready = ready.needs("the store", timing::LOOK, move || kept.clone().check());
    let told = told.and(settings::kept(&stores)).and(settings::own_tokens()).and(trust.settings());
    let told = told.with("orders that wait for the broker", format!("{outbox_max}; then 503"));
    let told = told.and(batch.settings());
    let (fans, charges) = followers.behind(&broker, &stores)?;
    let following = fanout::followed_by(&stores, fans)?;
    let told = told.and(fanout::told(following.as_ref()));
    let customers = Arc::new(Tokens::new(&environment::token_secret()?)?);
    let wake = Arc::new(Notify::new());
    let payments = Arc::new(Queued::new(Arc::clone(&wake), outbox_max));
    let operator = environment::operator_token();
    let (placing, kept) = (service::tasks(), Arc::clone(&stores.orders));
    let tasks = Arc::clone(&placing);
    let orders = OrderService::new(customers, kept, payments, operator, tasks, following);
    let orders = Arc::new(orders);

    let stop = CancellationToken::new();
    let settlements = Topic::new(broker, broker::SETTLEMENTS);
    let metrics = metrics::with_store(Gauges::kept(&stores.outbox), &stores);
    let relay = tokio::spawn(relay::run(Arc::clone(&stores.outbox), charges.clone(), wake));
    let messages = Messages { outbox: stores.outbox, charges, settlements: settlements.clone() };
    trust.reconcile(stores.orders, Arc::new(messages));
    let (settling, most) = (Arc::clone(&orders) as _, batch.most());
    let mut settle = tokio::spawn(consume::settlements(settling, settlements, most, stop.clone()));
    let (routes, ready) = (Routes::new().orders(orders), Arc::new(ready));
    tokio::select! {
        served = service::run("orders", args.listen, routes, ready, told, metrics) => served?,
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

//! Wiring of the orders service: customers are known by their tokens, money is a message away.

use std::sync::Arc;

use anyhow::{Context, bail};
use brokers::{Broker, Topic};
use clap::Args;
use http_server::{Metrics, Settings};
use service::{ServiceArgs, environment, fanout, metrics, settings};
use shop::auth::Tokens;
use shop::{OrderService, Tasks};
use stores::Stores;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use web::{Ready, Routes};

use crate::broker::{self, BatchArgs, BrokerArgs};
use crate::careless::Trust;
use crate::courier::Messages;
use crate::followers::FollowerArgs;
use crate::gauges::Gauges;
use crate::queued::Queued;
use crate::{consume, needs, relay};

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

/// Orders at work.
pub(crate) struct Begun {
    orders: Arc<OrderService>,
    outbox: Arc<dyn shop::Outbox>,
    told: Settings,
    placing: Arc<Tasks>,
    stop: CancellationToken,
    relay: JoinHandle<()>,
    settle: JoinHandle<Result<(), brokers::Error>>,
}

impl OrdersArgs {
    /// Takes orders, hands charges over, settles.
    pub(crate) fn begin(self, stores: &Stores, broker: &Arc<dyn Broker>) -> anyhow::Result<Begun> {
        let Self { batch, outbox_max, trust, followers } = self;
        let told = settings::own_tokens().and(trust.settings()).and(batch.settings());
        let told = told.with("orders that wait for the broker", format!("{outbox_max}; then 503"));
        let (fans, charges) = followers.behind(broker, stores)?;
        let following = fanout::followed_by(stores, fans)?;
        let told = told.and(fanout::told(following.as_ref()));
        let customers = Arc::new(Tokens::new(&environment::token_secret()?)?);
        let wake = Arc::new(Notify::new());
        let payments = Arc::new(Queued::new(Arc::clone(&wake), outbox_max));
        let operator = environment::operator_token();
        let (placing, kept) = (service::tasks(), Arc::clone(&stores.orders));
        let tasks = Arc::clone(&placing);
        let orders = OrderService::new(customers, kept, payments, operator, tasks, following);
        let (orders, outbox) = (Arc::new(orders), Arc::clone(&stores.outbox));
        let (stop, settlements) =
            (CancellationToken::new(), Topic::new(Arc::clone(broker), broker::SETTLEMENTS));
        let relay = tokio::spawn(relay::run(Arc::clone(&outbox), charges.clone(), wake));
        let messages =
            Messages { outbox: Arc::clone(&outbox), charges, settlements: settlements.clone() };
        trust.reconcile(Arc::clone(&stores.orders), Arc::new(messages));
        let (settling, most) = (Arc::clone(&orders) as _, batch.most());
        let settle = tokio::spawn(consume::settlements(settling, settlements, most, stop.clone()));
        Ok(Begun { orders, outbox, told, placing, stop, relay, settle })
    }
}

impl Begun {
    /// What customers ask.
    pub(crate) fn served(&self) -> Arc<OrderService> {
        Arc::clone(&self.orders)
    }

    /// What the process says of it.
    pub(crate) fn told(&mut self) -> Settings {
        std::mem::take(&mut self.told)
    }

    /// What waits, and what the store does.
    pub(crate) fn metrics(&self, stores: &Stores) -> Metrics {
        metrics::with_store(Gauges::kept(&self.outbox), stores)
    }

    /// Returns if settlements are consumed no more, which is an error: who answers /readyz and consumes nothing would
    /// look well for ever.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.settle).await?.context("consuming settlements")?;
        bail!("consuming settlements ended by itself");
    }

    /// Finishes what has begun.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        service::finish([&self.placing]).await;
        self.stop.cancel();
        self.relay.abort();
        self.settle.await?.context("consuming settlements")
    }
}

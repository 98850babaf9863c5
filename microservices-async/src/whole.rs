//! Wiring: the whole shop in one process, with the queue inside: what a queue costs without a split.

mod queue;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use service::{ServiceArgs, auth, settings};
use tokio::time::timeout;
use web::client::Http;
use web::{Ready, Routes};

use crate::broker::BrokerArgs;
use crate::needs;
use crate::orders::OrdersArgs;
use crate::payments::PaymentsArgs;
use queue::{given_back, open};

/// How long a stop waits for what is given back.
const GIVING_BACK_MAX: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    /// Where health and dead letters of the queue are served; loopback only. The environment variable
    /// TRIPTYCH_CONTROL_TOKEN allows to open and to replay them
    #[arg(long, value_name = "ADDRESS:PORT")]
    door: SocketAddr,
    #[command(flatten)]
    orders: OrdersArgs,
    #[command(flatten)]
    payments: PaymentsArgs,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, broker, door, orders, payments } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (told, broker) = (broker.settings()?, broker.connect()?);
    let _door = open(door, &broker, told.clone()).context("--door")?;
    let http = Http::default();
    let ready = needs::broker(payments.needs(needs::store(Ready::new(), &stores), &http), &broker);
    let told = told.and(settings::kept(&stores)).and(settings::hashing()).and(payments.told());
    let accounts = auth::accounts(&stores)?;
    let mut payments = payments.begin(&stores, &broker, http)?;
    let mut orders = orders.begin(&stores, &broker)?;
    let (told, metrics) = (told.and(orders.told()), orders.metrics(&stores));
    let (routes, ready) =
        (Routes::new().accounts(accounts).orders(orders.served()), Arc::new(ready));
    tokio::select! {
        served = service::run("shop", args.listen, routes, ready, told, metrics) => served?,
        ended = orders.ended() => return ended,
        ended = payments.ended() => return ended,
    }
    // What payments settles at the end orders still hears.
    let ended = [payments.finish().await, orders.finish().await];
    if timeout(GIVING_BACK_MAX, given_back(&broker)).await.is_err() {
        process_log::say("stopped with messages in hand; they come again at the next start");
    }
    ended.into_iter().collect()
}

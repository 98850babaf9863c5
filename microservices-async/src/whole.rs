//! Wiring: the whole shop in one process, with the queue inside: what a queue costs without a split.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use brokers::{Afar, Broker, Door};
use clap::Args;
use http_server::{Guard, Limits, Listen, Settings};
use service::{ServiceArgs, auth, settings};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use web::client::Http;
use web::{Ready, Routes};

use crate::broker::{BrokerArgs, CHARGES, SETTLEMENTS};
use crate::needs;
use crate::orders::OrdersArgs;
use crate::payments::PaymentsArgs;

/// How long a stop waits for what is given back, and how often it looks.
const GIVING_BACK_MAX: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

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

/// Waits until the consumers, which have ended, have given back what they had.
async fn given_back(broker: &Arc<dyn Broker>) {
    for topic in [CHARGES, SETTLEMENTS] {
        while broker.depth(topic).await.is_ok_and(|depth| depth.leased > 0) {
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Serves the queue's side door until what is returned is dropped.
fn open(
    address: SocketAddr,
    broker: &Arc<dyn Broker>,
    settings: Settings,
) -> anyhow::Result<DropGuard> {
    if !address.ip().is_loopback() {
        bail!("{address}: expected a loopback address such as 127.0.0.1:{}", address.port());
    }
    let listener = Listen { listen: address, any_address: false }.bind()?;
    let (limits, closed) = (Limits::default().within_descriptors(), CancellationToken::new());
    let afar = Arc::new(Afar::new(Arc::clone(broker)));
    let settings = settings.and(limits.settings());
    let door = Arc::new(Door::new(afar, Guard::from_environment(), settings));
    let closing = closed.clone().cancelled_owned();
    tokio::spawn(http_server::serve(listener, door, limits, closing));
    Ok(closed.drop_guard())
}

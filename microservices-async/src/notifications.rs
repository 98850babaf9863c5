//! Wiring of the notifications service: settlements come by message, customers' servers are a call away.

use std::sync::Arc;

use anyhow::{Context, bail};
use brokers::Topic;
use clap::Args;
use service::{ServiceArgs, fanout, metrics, settings};
use tokio_util::sync::CancellationToken;
use web::client::{Base, Http};
use web::{Ready, Routes};

use crate::broker::BrokerArgs;
use crate::{consume, followers, needs};

/// A customer's server is called for each order: none shall wait for the slowest of several.
const ALONE: usize = 1;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    /// Callback URLs that may be called begin with this
    #[arg(long, value_name = "http://HOST:PORT")]
    callbacks: Base,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, broker, callbacks } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (told, broker) = (broker.settings()?, broker.connect()?);
    let ready = needs::broker(needs::store(Ready::new(), &stores), &broker);
    let settings = told.and(settings::kept(&stores)).and(fanout::notifying());
    let notifications = fanout::notifications(&stores, Http::default(), callbacks)?;
    let (routes, counted) =
        (Routes::new().given_up(stores.given_up()?), metrics::of_store(&stores));
    let ready = Arc::new(ready);

    let stop = CancellationToken::new();
    let notices = Topic::new(broker, followers::NOTICES);
    let mut work = tokio::spawn(consume::settled(notifications, notices, ALONE, stop.clone()));
    tokio::select! {
        served = service::run("notifications", args.listen, routes, ready, settings, counted) => served?,
        ended = &mut work => {
            ended?.context("consuming notices")?;
            bail!("consuming notices ended by itself");
        }
    }
    stop.cancel();
    work.await?.context("consuming notices")
}

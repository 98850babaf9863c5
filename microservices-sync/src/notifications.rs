//! Wiring of the notifications service: settlements come by HTTP, customers' servers are a call away.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use service::{ServiceArgs, environment, fanout, metrics, settings, timing};
use web::client::{Base, Http};
use web::{Ready, Routes};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    /// Callback URLs that may be called begin with this
    #[arg(long, value_name = "http://HOST:PORT")]
    callbacks: Base,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, callbacks } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let kept = stores.clone();
    let ready = Ready::new().needs("the store", timing::LOOK, move || kept.clone().check());
    let settings = settings::kept(&stores).and(fanout::notifying());
    let notifications = fanout::notifications(&stores, Http::default(), callbacks)?;
    let routes = Routes::new().given_up(stores.given_up()?);
    let routes = routes.settlements(notifications, environment::notifications_guard()?);
    let (counted, ready) = (metrics::of_store(&stores), Arc::new(ready));
    Ok(service::run("notifications", args.listen, routes, ready, settings, counted).await?)
}

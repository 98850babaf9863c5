//! Wiring of the payments service: charges come by message, settlements go by message.

mod begun;

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use http_server::Settings;
use service::{ServiceArgs, Work, bounds, metrics, settings};
use web::client::{Base, Http, Patience};
use web::{Ready, Routes};

use crate::broker::BrokerArgs;
use crate::careless::Mistakes;
use crate::{consume, needs};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    payments: PaymentsArgs,
}

/// How charges are made, wherever that is.
#[derive(Args)]
pub(crate) struct PaymentsArgs {
    /// The card network
    #[arg(long, value_name = "http://HOST:PORT")]
    provider: Base,
    /// Charges in work at once
    #[arg(long, value_name = "N", default_value_t = bounds::IN_WORK, value_parser = clap::value_parser!(u32).range(1..=i64::from(bounds::IN_WORK)))]
    at_once: u32,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    mistakes: Mistakes,
}

impl PaymentsArgs {
    /// What the process says of it.
    pub(crate) fn told(&self) -> Settings {
        let told = settings::charging().and(settings::patient(Patience::default()));
        let told = told.and(self.work.settings()).and(consume::settings(self.at_once));
        told.and(self.mistakes.settings())
    }

    /// With the card network as something that is needed.
    pub(crate) fn needs(&self, ready: Ready, http: &Http) -> Ready {
        needs::network(ready, http, &self.provider)
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, broker, payments } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let (told, broker) = (broker.settings()?, broker.connect()?);
    let http = Http::default();
    let ready = needs::broker(payments.needs(needs::store(Ready::new(), &stores), &http), &broker);
    let (told, ready) = (told.and(settings::kept(&stores)).and(payments.told()), Arc::new(ready));
    let counted = metrics::of_store(&stores);
    let mut payments = payments.begin(&stores, &broker, http)?;
    tokio::select! {
        served = service::run("payments", args.listen, Routes::new(), ready, told, counted) => served?,
        ended = payments.ended() => return ended,
    }
    payments.finish().await
}

//! Wiring of the payments service: the card network is a call away.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use service::{CallArgs, ServiceArgs, Work, environment, metrics, needs, poison, settings};
use shop::PaymentService;
use web::client::{Base, Http, Patience, RemoteProvider};
use web::{Ready, Routes};

use crate::calls::Served;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    /// The card network
    #[arg(long, value_name = "http://HOST:PORT")]
    provider: Base,
    /// How long one call of the card network may take
    #[arg(long, value_name = "MS", default_value_t = whole_ms(Patience::default().call), conflicts_with = "calls")]
    provider_timeout_ms: u64,
    /// Calls for one charge: a further one after each that ran out of time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20), conflicts_with = "calls")]
    provider_attempts: u32,
    /// The pause before the second call, which doubles before each further one
    #[arg(long, value_name = "MS", default_value_t = 0)]
    provider_backoff_ms: u64,
    #[command(flatten)]
    calls: CallArgs,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    also: Served,
}

impl Arguments {
    fn patience(&self) -> Patience {
        let ms = Duration::from_millis;
        Patience {
            call: ms(self.provider_timeout_ms),
            attempts: self.provider_attempts,
            backoff: ms(self.provider_backoff_ms),
        }
    }
}

/// As an argument has it.
fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let patience = arguments.patience();
    let Arguments { args, provider, calls, work, also, .. } = arguments;
    let stores = stores::open(&args.store).context("--store")?;
    let http = Http::default();
    let ready = needs::network(needs::store(Ready::new(), &stores), &http, &provider);
    let asking = calls.last_settings().unwrap_or_else(|| settings::patient(patience));
    let settings =
        settings::kept(&stores).and(settings::charging()).and(asking).and(work.settings());
    let merchant = environment::merchant_credential()?;
    let network =
        RemoteProvider::new(calls.last_client(&http), &provider, merchant).with_patience(patience);
    let network = poison::network(work.network(Arc::new(network)));
    let (charging, counted) = (service::tasks(), metrics::of_store(&stores));
    let payments = PaymentService::new(stores.payments, network, Arc::clone(&charging));
    let payments = Arc::new(payments);
    let also = also.begin(Arc::clone(&payments) as _)?;
    let routes = Routes::new().charges(payments, environment::payments_guard()?);
    let (listen, ready) = (args.listen, Arc::new(ready));
    let limits = calls.limits();
    let served =
        service::run_within(limits, "payments", listen, routes, ready, settings, counted).await;
    also.await??;
    service::finish([&charging]).await;
    Ok(served?)
}

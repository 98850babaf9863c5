//! Wiring: orders as durable execution. An order's workflow begins with its commit; each step's result is recorded before
//! the next step, and whoever has the database goes on with it after a crash. Money is a call away.

mod begun;
mod executor;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Parser;
use service::{CallArgs, Gauges, ServiceArgs, environment, metrics, needs};
use shop::auth::Tokens;
use shop::{OrderService, Payments};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use web::client::{Base, Http, RemotePayments};
use web::{Ready, Routes};

use begun::{Begun, failed, workflows};
use executor::ExecutorArgs;

/// The orders service; auth and payments are those of microservices-sync.
///
/// Secrets come from the environment: TRIPTYCH_TOKEN_SECRET (at least 32 bytes), TRIPTYCH_PAYMENTS_TOKEN,
/// TRIPTYCH_OPERATOR_TOKEN (reads all orders; optional).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    /// The payments service
    #[arg(long, value_name = "http://HOST:PORT")]
    payments: Base,
    /// Workflows that may have begun and not ended; then orders are refused
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    begun_max: u64,
    #[command(flatten)]
    calls: CallArgs,
    #[command(flatten)]
    executor: ExecutorArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    service::exit_code("orders", run(Arguments::parse()).await)
}

async fn run(
    Arguments { args, payments, begun_max, calls, executor }: Arguments,
) -> anyhow::Result<()> {
    let stores = stores::open(&args.store).context("--store")?;
    let ready = Arc::new(needs::store(Ready::new(), &stores));
    let settings = begun::settings(&stores, &calls, begun_max).and(executor.settings());
    let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let credential = environment::payments_credential()?;
    let payments: Arc<dyn Payments> =
        Arc::new(RemotePayments::new(calls.client(&Http::default()), &payments, credential));
    let begun = Arc::new(Begun::new(&wake, begun_max, &payments));
    let customers = Arc::new(Tokens::new(&environment::token_secret()?)?);
    let (placing, operator) = (service::tasks(), environment::operator_token());
    let (kept, tasks) = (Arc::clone(&stores.orders), Arc::clone(&placing));
    let orders = Arc::new(OrderService::new(customers, kept, begun, operator, tasks, None));
    let counted = metrics::with_store(Gauges::kept(&stores.outbox), &stores);
    let executor = executor.begin(&stores, payments, Arc::clone(&orders) as _)?;
    let workflows = workflows(&stores, executor);
    let ended = stop.clone().cancelled_owned();
    let mut going = tokio::spawn(async move { workflows.keep_going(&wake, ended, failed).await });
    let (routes, limits) = (Routes::new().orders(orders), calls.limits());
    tokio::select! {
        served = service::run_within(limits, "orders", args.listen, routes, ready, settings, counted) => served?,
        ended = &mut going => {
            ended.context("the workflows")?;
            bail!("the workflows ended by themselves");
        }
    }
    service::finish([&placing]).await;
    stop.cancel();
    going.await.context("the workflows")
}

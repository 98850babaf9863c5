//! Wiring of the orders service: money is a call away; so are customers, if they are asked for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use service::{
    CallArgs, ServiceArgs, bounds, environment, fanout, metrics, needs, settings, spread, timing,
};
use shop::auth::Tokens;
use shop::{OrderService, Verify, keep_recovering};
use web::Ready;
use web::client::{Base, Http, Probe, RemoteVerify};

use crate::calls::Asked;
use crate::fans::FanArgs;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    /// The auth service, asked whose each token is; without it the tokens' signatures are checked here
    #[arg(long, value_name = "http://HOST:PORT")]
    auth: Option<Base>,
    /// Orders that have been pending for so many seconds are charged again
    #[arg(long, value_name = "SECONDS", default_value_t = timing::RECOVERY_AGE.as_secs())]
    recover_after: u64,
    #[command(flatten)]
    calls: CallArgs,
    #[command(flatten)]
    fans: FanArgs,
    #[command(flatten)]
    asked: Asked,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, auth, recover_after, calls, fans, asked } = arguments;
    let (age, every) = (Duration::from_secs(recover_after), timing::RECOVERY_EVERY);
    let stores = stores::open(&args.store).context("--store")?;
    let http = Http::default();
    let charges = Probe::ready(&http, &asked.payments);
    let ready = needs::store(Ready::new(), &stores);
    let mut ready = ready.needs("payments", timing::LOOK_FURTHER, move || charges.clone().check());
    let asking = calls.settings().unwrap_or_else(settings::asking);
    let settings = settings::kept(&stores).and(asking).and(settings::recovery(age));
    let (customers, tokens): (Arc<dyn Verify>, _) = match auth {
        Some(auth) => {
            let alive = Probe::alive(&http, &auth);
            ready = ready.needs("auth", timing::LOOK, move || alive.clone().check());
            (Arc::new(RemoteVerify::new(calls.client(&http), &auth)), settings::asked_tokens())
        }
        None => (Arc::new(Tokens::new(&environment::token_secret()?)?), settings::own_tokens()),
    };
    let (fans, ready) = fans.asked(&http, ready)?;
    let following = fanout::followed_by(&stores, fans)?;
    let settings = settings.and(fanout::told(following.as_ref()));
    let payments = asked.service(calls.client(&http))?;
    let operator = environment::operator_token();
    let (placing, counted) = (service::tasks(), metrics::of_store(&stores));
    let routes = spread::routes(&stores);
    let kept = stores.orders;
    let tasks = Arc::clone(&placing);
    let orders = OrderService::new(customers, kept, payments, operator, tasks, following);
    let orders = Arc::new(orders);
    let orders_left = Arc::clone(&orders);
    let recovery = keep_recovering(orders_left, age, every, bounds::AGAIN, service::not_recovered);
    tokio::spawn(recovery);
    let (routes, settings) = (routes.orders(orders), settings.and(tokens));
    let (listen, ready) = (args.listen, Arc::new(ready));
    let limits = calls.limits();
    let served =
        service::run_within(limits, "orders", listen, routes, ready, settings, counted).await;
    service::finish([&placing]).await;
    Ok(served?)
}

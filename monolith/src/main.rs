//! Wiring: one process. The three services meet by function calls; only the card network is far.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use service::{
    ModuleArgs, ServiceArgs, Work, auth, bounds, environment, fanout, metrics, needs, poison,
    settings, timing,
};
use shop::{OrderService, PaymentService, keep_recovering};
use web::client::{Base, Http, Patience, RemoteProvider};
use web::{Ready, Routes};

/// The shop in one process.
///
/// Secrets come from the environment, of at least 32 bytes each: TRIPTYCH_TOKEN_SECRET,
/// TRIPTYCH_MERCHANT_TOKEN (for the card network), TRIPTYCH_CALLBACK_SECRET (with --callbacks),
/// TRIPTYCH_OPERATOR_TOKEN (reads all orders; optional).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(flatten)]
    modules: ModuleArgs,
    /// The card network
    #[arg(long, value_name = "http://HOST:PORT")]
    provider: Base,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    fans: fanout::OwnFans,
}

#[tokio::main]
async fn main() -> ExitCode {
    service::exit_code("monolith", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { args, modules, provider, work, fans } = arguments;
    let (stores, http) = (modules.open(&args.store)?, Http::default());
    let ready = needs::network(needs::store(Ready::new(), &stores), &http, &provider);
    let settings = settings::kept(&stores).and(settings::hashing()).and(settings::own_tokens());
    let settings = settings
        .and(modules.settings())
        .and(settings::charging())
        .and(settings::patient(Patience::default()))
        .and(work.settings())
        .and(settings::recovery(timing::RECOVERY_AGE))
        .and(fans.settings());
    let (fans, routes) = fans.play(&stores, &http, Routes::new())?;
    let following = fanout::followed_by(&stores, fans)?;
    let settings = settings.and(fanout::told(following.as_ref()));
    let counted = metrics::of_store(&stores);
    let auth = auth::accounts(&stores)?;
    let merchant = environment::merchant_credential()?;
    let network = Arc::new(RemoteProvider::new(http, &provider, merchant));
    let network = poison::network(work.network(network));
    let (placing, charging) = (service::tasks(), service::tasks());
    let payments = Arc::new(PaymentService::new(stores.payments, network, Arc::clone(&charging)));
    let payments = modules.payments(payments);
    let operator = environment::operator_token();
    let (customers, tasks) = (Arc::clone(&auth) as _, Arc::clone(&placing));
    let kept = stores.orders;
    let orders = OrderService::new(customers, kept, payments, operator, tasks, following);
    let orders = Arc::new(orders);
    let (age, every) = (timing::RECOVERY_AGE, timing::RECOVERY_EVERY);
    let orders_left = Arc::clone(&orders);
    let recovery = keep_recovering(orders_left, age, every, bounds::AGAIN, service::not_recovered);
    let routes = routes.accounts(auth).orders(orders);
    tokio::spawn(recovery);
    let (listen, ready) = (args.listen, Arc::new(ready));
    let served = service::run("monolith", listen, routes, ready, settings, counted).await;
    service::finish([&placing, &charging]).await;
    Ok(served?)
}

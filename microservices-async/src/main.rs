//! Wiring: auth, orders and payments, each a process of its own or all in one; orders and payments meet only
//! through a queue.

mod broker;
mod cancelling;
mod careless;
mod consume;
mod courier;
mod followers;
mod inventory;
mod needs;
mod notifications;
mod orders;
mod payments;
mod relay;
mod trouble;
mod way;
mod whole;

use std::process::ExitCode;

use clap::Parser;
use service::{ServiceArgs, auth};

/// One service of the shop, or all of it.
///
/// Secrets come from the environment: TRIPTYCH_TOKEN_SECRET (auth and orders; at least 32 bytes),
/// TRIPTYCH_MERCHANT_TOKEN (payments, for the card network), TRIPTYCH_OPERATOR_TOKEN (orders; reads all
/// orders; optional), TRIPTYCH_CALLBACK_SECRET (notifications).
#[derive(Parser)]
#[command(version)]
enum Service {
    /// Knows customers
    Auth(ServiceArgs),
    /// Knows orders; tells payments by message
    Orders(orders::Arguments),
    /// Takes money for the charges that come by message
    Payments(payments::Arguments),
    /// Tells customers of the settlements that come by message
    Notifications(notifications::Arguments),
    /// Reserves what orders need, on the way of their charges
    Inventory(inventory::Arguments),
    /// Auth, orders and payments in this process, and the queue too: --broker log:PATH
    Shop(whole::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let (name, result) = match Service::parse() {
        Service::Auth(arguments) => ("auth", auth::run(arguments).await),
        Service::Orders(arguments) => ("orders", orders::run(arguments).await),
        Service::Payments(arguments) => ("payments", payments::run(arguments).await),
        Service::Inventory(arguments) => ("inventory", inventory::run(arguments).await),
        Service::Notifications(arguments) => ("notifications", notifications::run(arguments).await),
        Service::Shop(arguments) => ("shop", whole::run(arguments).await),
    };
    service::exit_code(name, result)
}

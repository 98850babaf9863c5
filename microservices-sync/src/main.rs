//! Wiring: auth, orders and payments, each a process of its own; they call each other over HTTP.

mod calls;
mod fans;
mod inventory;
mod notifications;
mod orders;
mod patience;
mod payments;

use std::process::ExitCode;

use clap::Parser;
use service::{ServiceArgs, auth};

/// One service of the shop.
///
/// Secrets come from the environment: TRIPTYCH_TOKEN_SECRET (auth, and orders without --auth; at least
/// 32 bytes), TRIPTYCH_PAYMENTS_TOKEN (orders and payments), TRIPTYCH_MERCHANT_TOKEN (payments, for the
/// card network), TRIPTYCH_NOTIFICATIONS_TOKEN (notifications, and orders with --notifications),
/// TRIPTYCH_INVENTORY_TOKEN (inventory, and orders with --inventory), TRIPTYCH_CALLBACK_SECRET
/// (notifications), TRIPTYCH_OPERATOR_TOKEN (orders; reads all orders; optional).
#[derive(Parser)]
#[command(version)]
enum Service {
    /// Knows customers
    Auth(ServiceArgs),
    /// Knows orders; asks payments
    Orders(orders::Arguments),
    /// Takes money; asks the card network
    Payments(payments::Arguments),
    /// Tells customers what became of their orders
    Notifications(notifications::Arguments),
    /// Knows stock
    Inventory(inventory::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let (name, result) = match Service::parse() {
        Service::Auth(arguments) => ("auth", auth::run(arguments).await),
        Service::Orders(arguments) => ("orders", orders::run(arguments).await),
        Service::Payments(arguments) => ("payments", payments::run(arguments).await),
        Service::Inventory(arguments) => ("inventory", inventory::run(arguments).await),
        Service::Notifications(arguments) => ("notifications", notifications::run(arguments).await),
    };
    service::exit_code(name, result)
}

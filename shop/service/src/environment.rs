//! What a process is given besides its flags: secrets, and processors.

use std::thread::available_parallelism;

use http_server::{Guard, NoSecret, secret};
use web::client::Credential;

/// Signs tokens; text, used as it stands.
const TOKEN_SECRET: &str = "TRIPTYCH_TOKEN_SECRET";
/// Whoever shows it may read all orders.
const OPERATOR_TOKEN: &str = "TRIPTYCH_OPERATOR_TOKEN";
/// Whoever shows it may have payments charge.
const PAYMENTS_TOKEN: &str = "TRIPTYCH_PAYMENTS_TOKEN";
/// Whoever shows it may tell notifications of settlements.
const NOTIFICATIONS_TOKEN: &str = "TRIPTYCH_NOTIFICATIONS_TOKEN";
/// Whoever shows it may tell the inventory of orders and settlements.
const INVENTORY_TOKEN: &str = "TRIPTYCH_INVENTORY_TOKEN";
/// Signs what is posted to customers' callback URLs.
const CALLBACK_SECRET: &str = "TRIPTYCH_CALLBACK_SECRET";
/// Whoever shows it may charge at the card network.
const MERCHANT_TOKEN: &str = "TRIPTYCH_MERCHANT_TOKEN";

/// The secret that signs tokens.
///
/// # Errors
/// If it is too short.
pub fn token_secret() -> Result<Vec<u8>, NoSecret> {
    secret(TOKEN_SECRET).map(String::into_bytes)
}

/// What orders show to payments.
///
/// # Errors
/// If it is too short.
pub fn payments_credential() -> Result<Credential, NoSecret> {
    Ok(Credential::new(&secret(PAYMENTS_TOKEN)?))
}

/// Who lets orders in at payments.
///
/// # Errors
/// If the token is too short.
pub fn payments_guard() -> Result<Guard, NoSecret> {
    Ok(Guard::new(Some(secret(PAYMENTS_TOKEN)?)))
}

/// What orders show to notifications.
///
/// # Errors
/// If it is too short.
pub fn notifications_credential() -> Result<Credential, NoSecret> {
    Ok(Credential::new(&secret(NOTIFICATIONS_TOKEN)?))
}

/// Who lets orders in at notifications.
///
/// # Errors
/// If the token is too short.
pub fn notifications_guard() -> Result<Guard, NoSecret> {
    Ok(Guard::new(Some(secret(NOTIFICATIONS_TOKEN)?)))
}

/// What orders show to the inventory.
///
/// # Errors
/// If it is too short.
pub fn inventory_credential() -> Result<Credential, NoSecret> {
    Ok(Credential::new(&secret(INVENTORY_TOKEN)?))
}

/// Who lets orders in at the inventory; each of its doors has one.
///
/// # Errors
/// If the token is too short.
pub fn inventory_guard() -> Result<Guard, NoSecret> {
    Ok(Guard::new(Some(secret(INVENTORY_TOKEN)?)))
}

/// The secret that signs notifications.
///
/// # Errors
/// If it is too short.
pub fn callback_secret() -> Result<Vec<u8>, NoSecret> {
    secret(CALLBACK_SECRET).map(String::into_bytes)
}

/// What a merchant shows to the card network.
///
/// # Errors
/// If it is too short.
pub fn merchant_credential() -> Result<Credential, NoSecret> {
    Ok(Credential::new(&secret(MERCHANT_TOKEN)?))
}

/// The token that reads all orders; empty, and then nobody's, when there is none.
#[must_use]
pub fn operator_token() -> String {
    std::env::var(OPERATOR_TOKEN).unwrap_or_default()
}

/// How many passwords are hashed at once, and how many charges work: as many as there are processors.
#[must_use]
pub fn parallel_hashes() -> usize {
    available_parallelism().map_or(1, usize::from)
}

//! Poison: orders that make whoever charges them fail, for tests of what one bad order does to the
//! others. It is compiled in, so that what is tested is what is measured, and does nothing unless the
//! environment variable TRIPTYCH_POISON is 1.

use std::sync::Arc;

use async_trait::async_trait;
use shop::{CardNetwork, Charge, Error, Result, Verdict};
use tokio::time::sleep;
use web::client::PROVIDER_CALL;

const ARMED: &str = "TRIPTYCH_POISON";

/// The network itself; if poison is armed, one that fails before it is asked when it meets the card
/// `poison-error` (an error), `poison-panic` (a panic), `poison-abort` (the process ends) or `poison-hang`
/// (no answer in time).
#[must_use]
pub fn network(network: Arc<dyn CardNetwork>) -> Arc<dyn CardNetwork> {
    if std::env::var(ARMED).is_ok_and(|value| value == "1") {
        return Arc::new(Poisonous(network));
    }
    network
}

struct Poisonous(Arc<dyn CardNetwork>);

#[async_trait]
impl CardNetwork for Poisonous {
    async fn capture(&self, charge: &Charge) -> Result<Verdict> {
        if charge.card.starts_with("poison-") {
            // Who poisons wants to know that it was met, also of a process that ends by it.
            process_log::say(format_args!("poison: {}", charge.key));
        }
        match charge.card.as_str() {
            "poison-error" => Err(Error::Internal("poison".to_owned())),
            "poison-panic" => panic!("poison"),
            "poison-abort" => std::process::abort(),
            "poison-hang" => {
                sleep(PROVIDER_CALL).await;
                Err(Error::TimedOut("poison".to_owned()))
            }
            _ => self.0.capture(charge).await,
        }
    }

    async fn void(&self, charge: &Charge) -> Result<Verdict> {
        self.0.void(charge).await
    }
}

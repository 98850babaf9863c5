//! How long payments waits for the card network, and how often it asks.

use std::time::Duration;

use clap::Args;
use web::client::Patience;

#[derive(Args)]
pub(crate) struct PatienceArgs {
    /// How long one call of the card network may take
    #[arg(long, value_name = "MS", default_value_t = whole_ms(Patience::default().call), conflicts_with = "calls")]
    provider_timeout_ms: u64,
    /// Calls for one charge: a further one after each that ran out of time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20), conflicts_with = "calls")]
    provider_attempts: u32,
    /// The pause before the second call, which doubles before each further one
    #[arg(long, value_name = "MS", default_value_t = 0)]
    provider_backoff_ms: u64,
}

impl PatienceArgs {
    pub(crate) fn patience(&self) -> Patience {
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

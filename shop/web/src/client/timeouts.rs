//! How long calls may take, the same in every system: a contestant that waits longer looks better.

use std::time::Duration;

/// How long one call of the card network may take, and how often it is asked for one charge: again only after a call
/// that ran out of time, as a client does that thinks its request is lost. The network may be at work on all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// One call.
    pub call: Duration,
    /// All calls for one charge.
    pub attempts: u32,
    /// The pause before the second; before each further one it is twice as long.
    pub backoff: Duration,
}

impl Default for Patience {
    /// Asks once. Orders and customers ask again.
    fn default() -> Self {
        Self { call: PROVIDER_CALL, attempts: 1, backoff: Duration::ZERO }
    }
}

/// One call of one of our services to another: as long as any request lives.
pub const SERVICE_CALL: Duration = http_server::REQUEST;
/// One call of the card network: leaves the caller time to say what happened.
pub const PROVIDER_CALL: Duration = Duration::from_millis(2_500);
/// One call of a customer's own server: as long as one of the card network.
pub const CALLBACK_CALL: Duration = PROVIDER_CALL;
/// A TCP connection.
pub const CONNECT: Duration = Duration::from_secs(1);

//! How long calls may take, the same in every system: a contestant that waits longer looks better.

use std::time::Duration;

/// One call of one of our services to another: as long as any request lives.
pub const SERVICE_CALL: Duration = http_server::REQUEST;
/// One call of the card network: leaves the caller time to say what happened.
pub const PROVIDER_CALL: Duration = Duration::from_millis(2_500);
/// One call of a customer's own server: as long as one of the card network.
pub const CALLBACK_CALL: Duration = PROVIDER_CALL;
/// A TCP connection.
pub const CONNECT: Duration = Duration::from_secs(1);

//! How long calls may take, the same in every system: a contestant that waits longer looks better.

use std::time::Duration;

/// One call of one of our services to another: as long as any request lives.
pub const SERVICE_CALL: Duration = http_server::REQUEST;
/// One call of the card network: leaves the caller time to say what happened.
pub const PROVIDER_CALL: Duration = Duration::from_millis(2_500);
/// A TCP connection.
pub const CONNECT: Duration = Duration::from_secs(1);

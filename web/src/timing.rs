//! The time-outs of every system, in one place: a contestant that waits longer looks better.

use std::time::Duration;

use http_server::Limits;

/// From the end of a request's head to its answer, at every server.
pub const REQUEST: Duration = Duration::from_secs(3);
/// One call of one of our services to another.
pub const SERVICE_CALL: Duration = REQUEST;
/// One call of the card network: leaves the caller time to say what happened.
pub const PROVIDER_CALL: Duration = Duration::from_millis(2_500);
/// One look at what a process needs, for `/readyz`.
pub const LOOK: Duration = Duration::from_secs(1);
/// The same where the other side looks at its own needs first.
pub const LOOK_FURTHER: Duration = Duration::from_millis(1_500);
/// A TCP connection.
pub const CONNECT: Duration = Duration::from_secs(1);
/// What a stopping process grants to orders and charges in work, when its connections are gone: longer
/// than a charge that begins at the last moment takes.
pub const FINISH: Duration = Duration::from_secs(4);
/// An order that has been pending for longer is charged again by the recovery: longer than any
/// request lives.
pub const RECOVERY_AGE: Duration = Duration::from_secs(5);
/// From one pass of the recovery to the next.
pub const RECOVERY_EVERY: Duration = Duration::from_secs(1);

/// What every server of the shop grants its clients; raises the limit on descriptors for it.
#[must_use]
pub fn limits() -> Limits {
    Limits { request: REQUEST, ..Limits::default() }.within_descriptors()
}

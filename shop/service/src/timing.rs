//! What processes wait for, in one place: a contestant that waits longer looks better. Calls' time-outs
//! are their clients' ([`web::client`]), a request's its server's ([`http_server::REQUEST`]).

use std::time::Duration;

/// One look at what a process needs, for `/readyz`.
pub const LOOK: Duration = Duration::from_secs(1);
/// The same where the other side looks at its own needs first.
pub const LOOK_FURTHER: Duration = Duration::from_millis(1_500);
/// What a stopping process grants to orders and charges in work, when its connections are gone: longer
/// than a charge that begins at the last moment takes.
pub const FINISH: Duration = Duration::from_secs(4);
/// An order that has been pending for longer is charged again by the recovery: longer than any
/// request lives.
pub const RECOVERY_AGE: Duration = Duration::from_secs(5);
/// From one pass of the recovery to the next.
pub const RECOVERY_EVERY: Duration = Duration::from_secs(1);

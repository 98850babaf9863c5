//! Wall-clock instants as the ledger keeps them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, UTC.
pub type Micros = i64;

/// The present, in microseconds since the Unix epoch; 0 if the clock stands before it.
#[must_use]
pub fn now_us() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

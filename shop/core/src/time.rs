//! Wall-clock instants as the ledger keeps them, and a clock that bears being set.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Microseconds since the Unix epoch, UTC.
pub type Micros = i64;

/// The present, in microseconds since the Unix epoch; 0 if the clock stands before it.
#[must_use]
pub fn now_us() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

/// Reads the time twice: from the wall clock, and as it would be if nobody had set the wall clock since
/// this clock was made. The two differ by as much as it was set.
pub(crate) struct Clock {
    wall: Box<dyn Fn() -> Micros + Send + Sync>,
    begun: Instant,
    begun_us: Micros,
}

impl Clock {
    /// A clock over this wall clock.
    pub(crate) fn new(wall: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self { begun: Instant::now(), begun_us: wall(), wall: Box::new(wall) }
    }

    /// What the wall clock says.
    pub(crate) fn wall_us(&self) -> Micros {
        (self.wall)()
    }

    /// Both readings, in microseconds since the Unix epoch.
    pub(crate) fn readings_us(&self) -> [Micros; 2] {
        let since_us = Micros::try_from(self.begun.elapsed().as_micros()).unwrap_or(Micros::MAX);
        [self.wall_us(), self.begun_us.saturating_add(since_us)]
    }
}

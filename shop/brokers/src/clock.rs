//! What time it is for leases and backoffs: the wall clock as it stood when the process began, and how far
//! it has come since. Setting the wall clock ends no lease and holds no message back.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Micros;

#[expect(
    clippy::disallowed_types,
    reason = "the writing thread has no runtime whose clock could stop"
)]
type Instant = std::time::Instant;

/// Microseconds since the Unix epoch, as they would be had nobody set the wall clock since the first call.
pub(crate) fn now_us() -> Micros {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(|| Clock::begun_at(wall_us())).now_us()
}

fn wall_us() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

struct Clock {
    begun: Instant,
    begun_us: Micros,
}

impl Clock {
    fn begun_at(wall_us: Micros) -> Self {
        Self { begun: Instant::now(), begun_us: wall_us }
    }

    fn now_us(&self) -> Micros {
        let since_us = i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(Micros::MAX);
        self.begun_us.saturating_add(since_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_where_the_wall_clock_stood_and_never_back() {
        let before = now_us();
        assert!((wall_us() - before).abs() < 60_000_000);
        // A wall clock of 1970, set to the present while we run, would leap.
        let clock = Clock::begun_at(7);
        let first = clock.now_us();
        assert!((7..60_000_000).contains(&first), "{first}");
        assert!((0..1_000).all(|_| clock.now_us() >= first) && now_us() >= before);
    }
}

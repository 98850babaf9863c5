//! Second 0 of a trial on both clocks: the monotonic one, on which requests are timed, and the wall's,
//! with which everybody else stamps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Two readings that are as close as this were not interrupted.
const CLOSE: Duration = Duration::from_micros(20);
const TRIES: usize = 100;

/// One instant, read on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Second0 {
    /// On the monotonic clock.
    pub(crate) instant: Instant,
    /// On the wall, µs since the epoch: never earlier than the instant, and later by `within_us` at most.
    pub(crate) wall_us: i64,
    /// How far apart both were read, µs.
    pub(crate) within_us: u64,
}

impl Second0 {
    /// An instant after this moment. A thread may lose its core between two readings: the closest of
    /// several are taken.
    pub(crate) fn after(lead: Duration) -> Self {
        let mut best = Self::read();
        for _ in 0..TRIES {
            if Duration::from_micros(best.within_us) <= CLOSE {
                break;
            }
            let next = Self::read();
            if next.within_us < best.within_us {
                best = next;
            }
        }
        let lead_us = i64::try_from(lead.as_micros()).unwrap_or(i64::MAX);
        Self { instant: best.instant + lead, wall_us: best.wall_us.saturating_add(lead_us), ..best }
    }

    fn read() -> Self {
        let instant = Instant::now();
        let wall_us = wall_us();
        // What is begun counts: the bound must hold.
        let within_us = u64::try_from(instant.elapsed().as_micros()).unwrap_or(u64::MAX);
        Self { instant, wall_us, within_us: within_us.saturating_add(1) }
    }

    /// How far both clocks have moved apart since, µs; positive if the wall's is ahead.
    pub(crate) fn drift_us(self) -> i64 {
        let now = Self::after(Duration::ZERO);
        let elapsed_us = now.instant.duration_since(self.instant).as_micros();
        let elapsed_us = i64::try_from(elapsed_us).unwrap_or(i64::MAX);
        now.wall_us.saturating_sub(self.wall_us).saturating_sub(elapsed_us)
    }
}

/// The wall's clock, µs since the epoch.
pub(crate) fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_tell_the_same_instant() {
        let lead = Duration::from_millis(200);
        let before_us = wall_us();
        let second0 = Second0::after(lead);
        let after_us = wall_us();
        assert!((before_us..=after_us).contains(&(second0.wall_us - 200_000)), "{second0:?}");
        assert!(second0.within_us < 1_000_000, "{second0:?}");
        let drift_us = Second0::after(Duration::ZERO).drift_us().unsigned_abs();
        assert!(drift_us < 1_000_000, "a clock that was not set: {drift_us}");
        let ahead = Second0 { wall_us: second0.wall_us - 5_000_000, ..second0 };
        assert!(ahead.drift_us() > 4_000_000, "set forward by 5 s: {}", ahead.drift_us());
    }
}

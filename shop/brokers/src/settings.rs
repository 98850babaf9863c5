//! How long, how often, how many.

use std::time::Duration;

/// What a broker promises in figures; the same for every topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a delivery belongs to its consumer unless extended. Default 10 s: what a customer
    /// waits when a consumer dies, and many times the work of one message.
    pub lease: Duration,
    /// How often a message may fail before it is a dead letter; what is deferred does not count. Default 8:
    /// enough to part a message from one that ends its consumer.
    pub attempts_max: u32,
    /// The wait before a message that failed is delivered again.
    pub backoff: Backoff,
    /// Messages a topic holds, dead letters apart. Default 100,000.
    pub depth_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            attempts_max: 8,
            backoff: Backoff::default(),
            depth_max: 100_000,
        }
    }
}

/// Exponential backoff with full jitter: uniform in [0, min(max, base · 2^(attempt−1))]
/// (M. Brooker, "Exponential Backoff And Jitter", 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first attempt. Default 100 ms.
    pub base: Duration,
    /// The longest wait after any attempt. Default 10 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(100), max: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// A random wait after this many attempts (the first is 1).
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        rand::random_range(Duration::ZERO..=self.ceiling(attempt))
    }

    fn ceiling(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.base.saturating_mul(doubled).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attempt: u32, ceiling_ms: u64) {
        let backoff =
            Backoff { base: Duration::from_millis(100), max: Duration::from_millis(1_500) };
        assert_eq!(backoff.ceiling(attempt), Duration::from_millis(ceiling_ms));
        assert!((0..50).all(|_| backoff.delay(attempt) <= backoff.ceiling(attempt)));
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        check(0, 100);
        check(1, 100);
        check(2, 200);
        check(4, 800);
        check(5, 1_500);
        check(u32::MAX, 1_500);
    }

    #[test]
    fn the_jitter_is_full() {
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(1) };
        let low = (0..200).filter(|_| backoff.delay(1) < Duration::from_millis(500)).count();
        assert!((40..160).contains(&low), "{low} of 200 in the lower half");
    }
}

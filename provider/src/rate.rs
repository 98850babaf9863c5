//! A limit on charges per second: the generic cell rate algorithm (ITU-T I.371), which spaces them
//! evenly and grants a tenth of a second's worth at once.

use std::time::Duration;

use tokio::time::Instant;

/// How far arrivals may run ahead of an even spacing.
const BURST: Duration = Duration::from_millis(100);

/// What the limit remembers: when the next charge would come if all came evenly spaced.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    next: Option<Instant>,
}

impl Rate {
    /// Whether one more may pass now; if so, it is counted.
    pub(crate) fn allows(&mut self, now: Instant, per_second: u32) -> bool {
        if per_second == 0 {
            return false;
        }
        let next = self.next.map_or(now, |next| next.max(now));
        if next > now + BURST {
            return false;
        }
        self.next = Some(next + Duration::from_secs(1) / per_second);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 1,000 arrivals in the second after `from_ms` pass.
    fn passed(rate: &mut Rate, start: Instant, from_ms: u64, per_second: u32) -> usize {
        let at = |ms| start + Duration::from_millis(from_ms + ms);
        (0..1_000).filter(|ms| rate.allows(at(*ms), per_second)).count()
    }

    #[test]
    fn a_second_passes_the_limit_and_a_tenth_more_at_first() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        assert_eq!(passed(&mut rate, start, 0, 50), 55);
        assert_eq!(passed(&mut rate, start, 1_000, 50), 50);
        assert_eq!(passed(&mut rate, start, 9_000, 50), 55, "a pause earns no more than the burst");
        assert_eq!(passed(&mut rate, start, 10_000, 0), 0);
        assert_eq!(passed(&mut rate, start, 20_000, 1), 2);
        assert_eq!(passed(&mut rate, start, 21_000, 1), 1);
    }
}

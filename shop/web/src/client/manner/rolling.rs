//! Counts of the last seconds, in slots that are forgotten one after the other.

use std::time::Duration;

use tokio::time::Instant;

const SLOTS: usize = 10;

/// How often each of `N` things happened of late.
#[derive(Clone, Debug)]
pub(super) struct Rolling<const N: usize> {
    begun: Instant,
    slot: Duration,
    /// The number of the newest slot, counted from the beginning.
    newest: u64,
    counts: [[u64; N]; SLOTS],
}

impl<const N: usize> Rolling<N> {
    /// Of so long.
    pub(super) fn of(window: Duration, now: Instant) -> Self {
        Self { begun: now, slot: window / SLOTS as u32, newest: 0, counts: [[0; N]; SLOTS] }
    }

    /// One of these things happened.
    pub(super) fn count(&mut self, what: usize, now: Instant) {
        let slot = self.at(now);
        self.counts[slot][what] += 1;
    }

    /// How often they happened.
    pub(super) fn sums(&mut self, now: Instant) -> [u64; N] {
        self.at(now);
        std::array::from_fn(|what| self.counts.iter().map(|slot| slot[what]).sum())
    }

    /// The slot of this instant; those that it takes the place of are empty.
    fn at(&mut self, now: Instant) -> usize {
        let passed =
            now.saturating_duration_since(self.begun).as_nanos() / self.slot.as_nanos().max(1);
        let number = u64::try_from(passed).unwrap_or(u64::MAX).max(self.newest);
        let new = (number - self.newest).min(SLOTS as u64);
        for back in 0..new {
            self.counts[((number - back) % SLOTS as u64) as usize] = [0; N];
        }
        self.newest = number;
        (number % SLOTS as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let begun = Instant::now();
        let at = |s: f64| begun + Duration::from_secs_f64(s);
        let mut rolling = Rolling::<2>::of(Duration::from_secs(10), begun);
        rolling.count(0, at(0.5));
        rolling.count(1, at(1.5));
        rolling.count(1, at(9.9));
        assert_eq!(rolling.sums(at(9.99)), [1, 2]);
        assert_eq!(rolling.sums(at(10.5)), [0, 2]);
        assert_eq!(rolling.sums(at(11.5)), [0, 1]);
        rolling.count(0, at(40.0));
        assert_eq!(rolling.sums(at(40.0)), [1, 0], "nothing is left after a long pause");
        assert_eq!(rolling.sums(at(3.0)), [1, 0], "time does not go back");
    }
}

//! The two clocks of a trial: the generator's (ns since second 0) and the wall's (µs), which the
//! contestants and the card network stamp with. They are one host's.

/// What separates two readings of the clocks at most where a record does not say: a thread that loses
/// its core between them.
const WITHIN_US: u64 = 1_000;

/// An instant of the generator's that never came.
pub(super) const NEVER: u64 = u64::MAX;

/// How instants of both clocks are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The wall clock at second 0, µs; `None`: not known, and then only what is stamped by the wall can
    /// be compared.
    pub started_at_us: Option<i64>,
    /// An instant counts as earlier than another only if it is so by more than this, µs: what the
    /// reading of both clocks, and their drift, may be wrong by.
    pub within_us: u64,
}

impl Default for Clock {
    /// One that knows nothing of second 0.
    fn default() -> Self {
        Self { started_at_us: None, within_us: WITHIN_US }
    }
}

impl Clock {
    /// `read_within_us`: how far apart both clocks were read at second 0 (`None`: not known);
    /// `drift_us`: how far they moved apart until the end.
    #[must_use]
    pub fn new(started_at_us: i64, read_within_us: Option<u64>, drift_us: i64) -> Self {
        let read = read_within_us.unwrap_or(WITHIN_US);
        let started_at_us = Some(started_at_us);
        Self { started_at_us, within_us: read.saturating_add(drift_us.unsigned_abs()) }
    }

    /// An instant of the generator's on the wall; `None` of one that never came.
    pub(super) fn wall_us(&self, ns: u64) -> Option<i64> {
        let us = i64::try_from(ns / 1_000).unwrap_or(i64::MAX);
        self.started_at_us.filter(|_| ns != NEVER).map(|started| started.saturating_add(us))
    }

    /// Whether the one was certainly before the other, both on the wall.
    pub(super) fn before(&self, one_us: i64, other_us: i64) -> bool {
        let within = i64::try_from(self.within_us).unwrap_or(i64::MAX);
        one_us.saturating_add(within) < other_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_is_what_no_error_of_the_clocks_explains() {
        let clock = Clock::new(5_000_000, Some(20), -30);
        assert_eq!(clock.wall_us(1_500_999), Some(5_001_500));
        assert_eq!((clock.wall_us(NEVER), Clock::default().wall_us(0)), (None, None));
        assert!(clock.before(0, 51) && !clock.before(0, 50) && !clock.before(51, 0));
        assert_eq!(Clock::new(0, None, 7).within_us, 1_007);
        assert!(!clock.before(i64::MAX, i64::MIN) && clock.before(i64::MIN, i64::MAX));
        let last = Clock::new(i64::MAX, None, i64::MIN);
        assert_eq!(last.wall_us(NEVER - 1), Some(i64::MAX));
    }
}

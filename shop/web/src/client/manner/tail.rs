//! How long tries lately took, and with that how long one is worth waiting for. It knows no call.

use std::time::Duration;

use tokio::time::Instant;

use super::rolling::Rolling;

/// A try may take as long as all but a few of the others took. Amazon sets a time-out so that it cuts off one call of a
/// thousand that would have been answered: at p99.9.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// As long as this share of the tries
    pub share: f64,
    /// of the last so long,
    pub window: Duration,
    /// if there were so many.
    pub least: u64,
}

/// The shortest time that is told from others.
const SHORTEST_S: f64 = 0.000_5;
/// Each bucket's end is so many times the one before: a time is told as a tenth too long at most.
const STEP: f64 = 1.1;
/// Up to 4.7 s.
const BUCKETS: usize = 97;
/// After them, of what was cut off: nobody knows how long it would have taken.
const CUT_OFF: usize = BUCKETS;

/// What the tries to one service took.
#[derive(Debug)]
pub(super) struct Lasted {
    tail: Tail,
    recent: Rolling<{ BUCKETS + 1 }>,
}

impl Lasted {
    pub(super) fn by(tail: Tail, now: Instant) -> Self {
        Self { tail, recent: Rolling::of(tail.window, now) }
    }

    /// A try was answered after so long.
    pub(super) fn answered(&mut self, after: Duration, now: Instant) {
        self.recent.count(bucket(after), now);
    }

    /// A try was cut off before it was answered.
    pub(super) fn cut_off(&mut self, now: Instant) {
        self.recent.count(CUT_OFF, now);
    }

    /// How long a try may take. Nothing follows from too few of them; and if more were cut off than may be, then their time
    /// is unknown, and was too short.
    pub(super) fn try_within(&mut self, now: Instant) -> Option<Duration> {
        self.within(self.tail.share, now)
    }

    /// The time in which half of the tries were not answered: whoever has less need not ask.
    pub(super) fn half(&mut self, now: Instant) -> Option<Duration> {
        self.within(0.5, now).map(|end| end.div_f64(STEP))
    }

    fn within(&mut self, share: f64, now: Instant) -> Option<Duration> {
        let counts = self.recent.sums(now);
        let all: u64 = counts.iter().sum();
        if all < self.tail.least {
            return None;
        }
        let rank = (share * all as f64).ceil();
        let mut passed = 0;
        let bucket = counts.iter().position(|count| {
            passed += count;
            passed as f64 >= rank
        })?;
        (bucket != CUT_OFF).then(|| end(bucket))
    }
}

/// The first bucket that ends no sooner; the last one if none does.
fn bucket(time: Duration) -> usize {
    let steps = (time.as_secs_f64() / SHORTEST_S).ln() / STEP.ln();
    // Less than the shortest is less than no step.
    (steps.max(0.0).ceil() as usize).min(BUCKETS - 1)
}

fn end(bucket: usize) -> Duration {
    Duration::from_secs_f64(SHORTEST_S * STEP.powi(bucket as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: Tail = Tail { share: 0.999, window: Duration::from_secs(60), least: 1_000 };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn after(answered: &[(u64, Duration)]) -> (Lasted, Instant) {
        let begun = Instant::now();
        let mut lasted = Lasted::by(TAIL, begun);
        for (times, took) in answered {
            (0..*times).for_each(|_| lasted.answered(*took, begun));
        }
        (lasted, begun)
    }

    /// Whether it is the time or a tenth more.
    fn is_about(found: Option<Duration>, time: Duration) -> bool {
        found.is_some_and(|found| found >= time && found <= time.mul_f64(STEP))
    }

    #[test]
    fn a_bucket_ends_at_its_times_or_a_tenth_later() {
        for us in [1, 500, 501, 999, 1_000, 80_000, 999_999, 4_000_000] {
            let (time, end) = (Duration::from_micros(us), end(bucket(Duration::from_micros(us))));
            let least = Duration::from_secs_f64(SHORTEST_S);
            assert!(end >= time && end <= time.mul_f64(STEP).max(least), "{time:?}: {end:?}");
        }
        assert_eq!(bucket(Duration::from_secs(3_600)), BUCKETS - 1);
        assert_eq!(bucket(Duration::ZERO), 0);
    }

    #[test]
    fn one_of_a_thousand_may_be_cut_off_and_not_two() {
        let (mut lasted, now) = after(&[(1_997, ms(80)), (1, ms(300))]);
        lasted.answered(ms(900), now);
        lasted.answered(ms(900), now);
        assert!(is_about(lasted.try_within(now), ms(300)), "{:?}", lasted.try_within(now));
        lasted.answered(ms(900), now);
        assert!(is_about(lasted.try_within(now), ms(900)), "{:?}", lasted.try_within(now));
        let half = lasted.half(now).unwrap();
        assert!(half <= ms(80) && half >= ms(80).div_f64(STEP), "{half:?}");
    }

    #[test]
    fn half_is_what_as_many_exceed_as_do_not() {
        let (mut lasted, now) = after(&[(600, ms(10)), (400, ms(200))]);
        let half = lasted.half(now).unwrap();
        assert!(half <= ms(10) && half >= ms(10).div_f64(STEP), "{half:?}");
    }

    #[test]
    fn of_few_nothing_follows_nor_of_those_of_long_ago() {
        let (mut lasted, now) = after(&[(999, ms(80))]);
        assert_eq!((lasted.try_within(now), lasted.half(now)), (None, None));
        lasted.answered(ms(80), now);
        assert!(is_about(lasted.try_within(now), ms(80)));
        let later = now + Duration::from_secs(61);
        assert_eq!((lasted.try_within(later), lasted.half(later)), (None, None));
    }

    #[test]
    fn a_time_out_that_was_too_short_is_lifted() {
        let (mut lasted, now) = after(&[(1_500, ms(80))]);
        lasted.cut_off(now);
        assert!(is_about(lasted.try_within(now), ms(80)), "one is within the share");
        lasted.cut_off(now);
        assert_eq!(lasted.try_within(now), None);
        assert!(lasted.half(now).is_some(), "how long half of them took is known");
    }
}

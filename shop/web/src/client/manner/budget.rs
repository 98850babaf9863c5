//! What may be asked again of all that is asked, and what is not even asked once. It knows no call.

use std::time::Duration;

use tokio::time::Instant;

use super::rolling::Rolling;

const FIRST: usize = 0;
const AGAIN: usize = 1;

/// Retries in all: a share of the calls, and some for who calls seldom (Finagle's retry budget: 20 % and 10/s over 10 s).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Of the first tries of the last ten seconds,
    pub share: f64,
    /// and so many a second.
    pub per_s: f64,
}

const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// What of a budget is spent.
#[derive(Debug)]
pub(super) struct Spent {
    budget: Budget,
    recent: Rolling<2>,
}

impl Spent {
    pub(super) fn of(budget: Budget, now: Instant) -> Self {
        Self { budget, recent: Rolling::of(BUDGET_WINDOW, now) }
    }

    /// A call is made for the first time.
    pub(super) fn first(&mut self, now: Instant) {
        self.recent.count(FIRST, now);
    }

    /// Whether one may be made again; then it is counted.
    pub(super) fn again(&mut self, now: Instant) -> bool {
        let [first, again] = self.recent.sums(now);
        let most =
            self.budget.share * first as f64 + self.budget.per_s * BUDGET_WINDOW.as_secs_f64();
        let may = (again as f64) < most;
        if may {
            self.recent.count(AGAIN, now);
        }
        may
    }
}

/// Calls that are not made because too many were refused: the more, the greater the share of refusals (Site
/// Reliability Engineering, chapter 21: client-side throttling).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// So many times what was accepted is asked for.
    pub k: f64,
    /// Of so long; the book's two minutes are longer than our scenarios.
    pub window: Duration,
    /// Of fewer calls nothing follows.
    pub least: u64,
}

/// What was asked and what was accepted.
#[derive(Debug)]
pub(super) struct Throttling {
    throttle: Throttle,
    recent: Rolling<2>,
}

const ASKED: usize = 0;
const ACCEPTED: usize = 1;

impl Throttling {
    pub(super) fn by(throttle: Throttle, now: Instant) -> Self {
        Self { throttle, recent: Rolling::of(throttle.window, now) }
    }

    /// Whether a call may be made, by a number that was drawn from 0 to 1; one that may not is counted as asked, too.
    pub(super) fn may(&mut self, drawn: f64, now: Instant) -> bool {
        let [asked, accepted] = self.recent.sums(now);
        let refused = (asked as f64 - self.throttle.k * accepted as f64) / (asked as f64 + 1.0);
        self.recent.count(ASKED, now);
        asked < self.throttle.least || drawn >= refused
    }

    /// A call was accepted, whatever came of it.
    pub(super) fn accepted(&mut self, now: Instant) {
        self.recent.count(ACCEPTED, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_what_is_asked_and_some_for_who_asks_seldom() {
        let begun = Instant::now();
        let mut spent = Spent::of(Budget { share: 0.2, per_s: 1.0 }, begun);
        let granted = |spent: &mut Spent, now| (0..1_000).take_while(|_| spent.again(now)).count();
        assert_eq!(granted(&mut spent, begun), 10);
        (0..100).for_each(|_| spent.first(begun));
        assert_eq!(granted(&mut spent, begun), 20);
        let later = begun + Duration::from_secs(20);
        assert_eq!(granted(&mut spent, later), 10, "what was asked long ago grants nothing");
    }

    #[test]
    fn who_is_refused_asks_for_twice_what_is_accepted() {
        let begun = Instant::now();
        let throttle = Throttle { k: 2.0, window: Duration::from_secs(10), least: 20 };
        let mut throttling = Throttling::by(throttle, begun);
        assert!(
            (0..100).all(|_| {
                let may = throttling.may(0.0, begun);
                throttling.accepted(begun);
                may
            }),
            "who is not refused is not throttled"
        );
        let mut throttling = Throttling::by(throttle, begun);
        // Of ten that arrive one is accepted.
        let mut made = 0;
        for n in 0..2_000_u32 {
            let drawn = f64::from(n.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
            if throttling.may(drawn, begun) {
                made += 1;
            }
            if n % 10 == 0 {
                throttling.accepted(begun);
            }
        }
        assert!((340..480).contains(&made), "{made} of 2000 were made, of which 200 were accepted");
    }
}

//! A breaker: after too many failures nobody is asked for a while, and then one call probes. It knows no call.

use std::time::Duration;

use tokio::time::Instant;

use super::rolling::Rolling;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Of the calls of so long,
    pub window: Duration,
    /// if there were so many,
    pub least: u64,
    /// this share failed.
    pub share: f64,
    /// For so long.
    pub open: Duration,
}

const OK: usize = 0;
const FAILED: usize = 1;

/// The breaker of one service.
#[derive(Debug)]
pub(super) struct Breaker {
    rule: Rule,
    recent: Rolling<2>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One call is under way to see whether it may close; another may follow if it is never heard of again.
    Probing {
        until: Instant,
    },
}

impl Breaker {
    pub(super) fn new(rule: Rule, now: Instant) -> Self {
        Self { rule, recent: Rolling::of(rule.window, now), state: State::Closed }
    }

    /// Whether a call may be made now. If so, its end must be told.
    pub(super) fn may(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } | State::Probing { until } if now < until => false,
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { until: now + self.rule.open };
                true
            }
        }
    }

    /// A call ended.
    pub(super) fn ended(&mut self, failed: bool, now: Instant) {
        match self.state {
            // Calls that were under way when it opened tell nothing new.
            State::Open { .. } => {}
            State::Probing { .. } if failed => {
                self.state = State::Open { until: now + self.rule.open }
            }
            State::Probing { .. } => {
                self.recent = Rolling::of(self.rule.window, now);
                self.state = State::Closed;
            }
            State::Closed => {
                self.recent.count(if failed { FAILED } else { OK }, now);
                let [ok, failures] = self.recent.sums(now);
                let all = ok + failures;
                if all >= self.rule.least && failures as f64 >= self.rule.share * all as f64 {
                    self.state = State::Open { until: now + self.rule.open };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        window: Duration::from_secs(30),
        least: 10,
        share: 0.1,
        open: Duration::from_secs(5),
    };

    #[test]
    fn it_opens_by_a_share_of_enough_calls_and_closes_after_a_good_probe() {
        let begun = Instant::now();
        let at = |s: u64| begun + Duration::from_secs(s);
        let mut breaker = Breaker::new(RULE, begun);
        (0..8).for_each(|_| breaker.ended(false, at(1)));
        breaker.ended(true, at(1));
        assert!(breaker.may(at(1)), "nine calls are not enough");
        breaker.ended(true, at(2));
        assert!(!breaker.may(at(2)));
        breaker.ended(false, at(3));
        assert!(!breaker.may(at(6)), "what was under way closes nothing");
        assert!(breaker.may(at(7)) && !breaker.may(at(7)), "one probes");
        breaker.ended(true, at(8));
        assert!(!breaker.may(at(12)));
        assert!(breaker.may(at(13)));
        breaker.ended(false, at(13));
        assert!((0..20).all(|_| breaker.may(at(13))), "closed, and what was before is forgotten");
        breaker.ended(true, at(13));
        assert!(breaker.may(at(13)));
    }

    #[test]
    fn a_probe_that_is_never_heard_of_again_is_followed_by_another() {
        let begun = Instant::now();
        let at = |s: u64| begun + Duration::from_secs(s);
        let mut breaker = Breaker::new(Rule { least: 1, ..RULE }, begun);
        breaker.ended(true, begun);
        assert!(breaker.may(at(5)) && !breaker.may(at(9)) && breaker.may(at(10)));
    }

    #[test]
    fn failures_of_long_ago_count_no_more() {
        let begun = Instant::now();
        let mut breaker = Breaker::new(RULE, begun);
        (0..9).for_each(|_| breaker.ended(true, begun));
        let later = begun + Duration::from_secs(40);
        (0..9).for_each(|_| breaker.ended(false, later));
        breaker.ended(false, later);
        assert!(breaker.may(later));
    }
}

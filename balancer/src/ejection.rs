//! Who fails request after request is left out for a while, though its health checks succeed. It knows no socket; time
//! is given.

use std::time::Duration;

use tokio::time::Instant;

/// When a replica is left out, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// After so many failures one after the other; 0: never.
    pub after: u32,
    /// For so long the first time; n times as long the n-th time in a row.
    pub lasts: Duration,
}

/// How a replica has fared of late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    failures: u32,
    times: u32,
    until: Option<Instant>,
}

impl Record {
    /// Whether it is left out now.
    pub(crate) fn is_out(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// It answered.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It did not. Whether it is left out from now on; not if it `must_stay`.
    pub(crate) fn failed(&mut self, rule: Ejection, now: Instant, must_stay: bool) -> bool {
        self.failures = self.failures.saturating_add(1);
        let is_due = rule.after > 0 && self.failures >= rule.after;
        if !is_due || must_stay || self.is_out(now) {
            return false;
        }
        self.times = self.times.saturating_add(1);
        self.until = Some(now + rule.lasts.saturating_mul(self.times));
        self.failures = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Ejection = Ejection { after: 3, lasts: Duration::from_secs(30) };

    #[test]
    fn it_is_left_out_for_longer_each_time_until_it_answers() {
        let mut record = Record::default();
        let mut now = Instant::now();
        for times in 1..=3 {
            let out: Vec<bool> = (0..3).map(|_| record.failed(RULE, now, false)).collect();
            assert_eq!(out, [false, false, true]);
            let lasts = RULE.lasts * times;
            assert!(
                record.is_out(now + lasts - Duration::from_millis(1))
                    && !record.is_out(now + lasts)
            );
            now += lasts;
        }
        record.succeeded();
        assert!(!record.failed(RULE, now, false) && !record.failed(RULE, now, false));
        assert!(record.failed(RULE, now, false));
        assert!(!record.is_out(now + RULE.lasts), "it begins anew after a success");
    }

    #[test]
    fn the_last_one_stays_and_none_is_left_out_without_a_rule() {
        let now = Instant::now();
        let mut last = Record::default();
        assert!((0..9).all(|_| !last.failed(RULE, now, true)));
        assert!(last.failed(RULE, now, false), "as soon as it is not the last");
        let mut free = Record::default();
        let never = Ejection { after: 0, ..RULE };
        assert!((0..9).all(|_| !free.failed(never, now, false)));
    }
}

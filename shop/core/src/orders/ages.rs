//! How long orders have been there, told by their numbers: what was there at an instant has no higher
//! number than the newest had then. It knows no clock that anybody can set.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Number;

/// An instant is noted when the last one is older than this part of the age: an order counts as old
/// after at most so much more than the age.
const PARTS: u32 = 8;

/// Tells which orders are older than an age.
pub(crate) struct Ages {
    age: Duration,
    /// The newest order at these instants, the oldest first: at most `PARTS` and the last.
    noted: VecDeque<(Instant, Number)>,
    old: Option<Number>,
}

impl Ages {
    pub(crate) fn new(age: Duration) -> Self {
        Self { age, noted: VecDeque::new(), old: None }
    }

    /// The highest number of an old order. What was there when this began counts as old: whoever
    /// worked on it is gone.
    pub(crate) fn old(&mut self, now: Instant) -> Number {
        while let Some((at, newest)) = self.noted.front()
            && now.duration_since(*at) >= self.age
        {
            self.old = Some(*newest);
            self.noted.pop_front();
        }
        self.old.unwrap_or(Number::MAX)
    }

    /// The newest order is this one now.
    pub(crate) fn note(&mut self, now: Instant, newest: Number) {
        self.old.get_or_insert(newest);
        let last = self.noted.back().map(|(at, _)| now.duration_since(*at));
        if last.is_none_or(|since| since >= self.age / PARTS) {
            self.noted.push_back((now, newest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_old_when_it_was_there_an_age_ago() {
        let (mut ages, begun) = (Ages::new(Duration::from_secs(5)), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(ages.old(at(0)), Number::MAX, "nobody works on what was there before");
        ages.note(at(0), 10);
        for second in 1..=20 {
            let old = ages.old(at(second * 1_000));
            ages.note(at(second * 1_000), 10 + second as Number);
            let five_before = 10 + second.saturating_sub(5) as Number;
            assert_eq!(old, five_before, "after {second} s");
        }
    }

    #[test]
    fn passes_without_pauses_leave_few_notes() {
        let (mut ages, begun) = (Ages::new(Duration::from_secs(5)), Instant::now());
        for ms in 0..60_000 {
            let now = begun + Duration::from_millis(ms);
            let old = ages.old(now);
            ages.note(now, ms as Number);
            assert!(ages.noted.len() <= PARTS as usize + 1, "{} notes", ages.noted.len());
            if ms >= 6_000 {
                let age_ms = ms as Number - old;
                assert!((5_000..5_700).contains(&age_ms), "{age_ms} ms after {ms} ms");
            }
        }
    }
}

//! Whether what the work needs is down for everybody: then what has failed before waits, and a few of
//! it try. It knows neither the work nor the queue.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::Backoff;

/// Nothing may succeed for this long before it counts as an outage: longer than one slow call.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nor is one an outage that fewer have met.
const TROUBLES_MIN: u32 = 5;
/// Redelivered messages that try at once during an outage: few calls, and yet enough that those
/// whose own trouble lasts longer cannot hold up the others for long.
pub(crate) const PROBES: u32 = 8;
/// How long each of these keeps its place after it tried in vain.
const PAUSE: Backoff = Backoff { base: Duration::from_millis(250), max: Duration::from_secs(2) };

#[derive(Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    /// In a row, without a success between.
    troubles: u32,
    /// The first of these.
    since: Option<Instant>,
    /// Probes that failed since it opened.
    open: Option<u32>,
}

/// What an outcome means for those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// As before: a success, or a trouble that may be this message's own.
    Nothing,
    /// From now on few may try.
    Outage,
    /// The outage goes on: the next may try after this pause.
    Still(Duration),
    /// It has ended: all may try.
    Over,
}

impl Breaker {
    pub(crate) fn succeeded(&self) -> Means {
        let before = std::mem::take(&mut *self.state());
        if before.open.is_some() { Means::Over } else { Means::Nothing }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state().open.is_some()
    }

    pub(crate) fn troubled(&self, now: Instant) -> Means {
        let mut state = self.state();
        state.troubles = state.troubles.saturating_add(1);
        let since = *state.since.get_or_insert(now);
        if let Some(probes) = &mut state.open {
            *probes = probes.saturating_add(1);
            return Means::Still(PAUSE.delay(probes.div_ceil(PROBES)));
        }
        if state.troubles < TROUBLES_MIN || now < since + PATIENCE {
            return Means::Nothing;
        }
        state.open = Some(0);
        Means::Outage
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_begins_after_a_while_without_any_success_and_ends_with_one() {
        let breaker = Breaker::default();
        let start = Instant::now();
        let later = |s| start + Duration::from_secs(s);
        for _ in 0..100 {
            assert_eq!(breaker.troubled(start), Means::Nothing, "too soon");
        }
        assert_eq!(breaker.succeeded(), Means::Nothing);
        assert_eq!(breaker.troubled(later(60)), Means::Nothing, "the first since a success");
        for s in 61..64 {
            assert_eq!(breaker.troubled(later(s)), Means::Nothing);
        }
        assert_eq!(breaker.troubled(later(65)), Means::Outage);
        for s in 66..200 {
            let Means::Still(pause) = breaker.troubled(later(s)) else { panic!("{s}") };
            assert!(pause <= PAUSE.max);
        }
        assert!(breaker.is_open());
        assert_eq!(breaker.succeeded(), Means::Over);
        assert!(!breaker.is_open());
        assert_eq!(breaker.succeeded(), Means::Nothing);
        assert_eq!(breaker.troubled(later(300)), Means::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_now_and_then_is_no_outage() {
        let breaker = Breaker::default();
        for s in 0..1_000 {
            let now = Instant::now() + Duration::from_secs(s);
            assert_eq!(breaker.troubled(now), Means::Nothing);
            if s % 4 == 0 {
                assert_eq!(breaker.succeeded(), Means::Nothing);
            }
        }
    }
}

//! From where a queue is looked through: at its beginning lie the remains of what was taken, which vacuum has not
//! cleared away. It knows no server.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// By queue, how far this client has come.
#[derive(Default)]
pub(super) struct Trails(Mutex<BTreeMap<String, Trail>>);

#[derive(Default)]
struct Trail {
    /// When it was last looked through from its beginning.
    looked: Option<Instant>,
    /// The highest number that was taken; before the last look from the beginning; before the one before.
    newest: i64,
    before: i64,
    from: i64,
}

impl Trails {
    /// The number behind which to look. Every so often it is the beginning: what was published late, under a number
    /// drawn early, lies before what was taken since, and so does what others took and lost.
    pub(super) fn from(&self, queue: &str, every: Duration) -> i64 {
        let mut trails = self.trails();
        let trail = trails.entry(queue.to_owned()).or_default();
        let now = Instant::now();
        if trail.looked.is_some_and(|looked| now.duration_since(looked) < every) {
            return trail.from;
        }
        (trail.looked, trail.from, trail.before) = (Some(now), trail.before, trail.newest);
        0
    }

    /// These were taken. One that lies before all that was looked through may be of a server that numbers anew.
    pub(super) fn taken(&self, queue: &str, numbers: impl Iterator<Item = i64>) {
        let mut trails = self.trails();
        let Some(trail) = trails.get_mut(queue) else { return };
        for number in numbers {
            if number <= trail.from {
                (trail.newest, trail.before, trail.from) = (0, 0, 0);
            }
            trail.newest = trail.newest.max(number);
        }
    }

    fn trails(&self) -> MutexGuard<'_, BTreeMap<String, Trail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const EVERY: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_looked_through_behind_what_was_taken_two_looks_ago() {
        let trails = Trails::default();
        let mut seen = Vec::new();
        for last in [10, 20, 30] {
            seen.push(trails.from("q", EVERY));
            trails.taken("q", [last - 1, last].into_iter());
            seen.push(trails.from("q", EVERY));
            advance(EVERY).await;
        }
        assert_eq!(seen, [0, 0, 0, 0, 0, 10]);
        assert_eq!(trails.from("other", EVERY), 0);
        assert_eq!(trails.from("q", Duration::ZERO), 0, "whenever it is wanted");
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_that_begin_anew_are_followed() {
        let trails = Trails::default();
        for last in [100, 200, 300] {
            trails.from("q", EVERY);
            trails.taken("q", [last].into_iter());
            advance(EVERY).await;
        }
        assert_eq!((trails.from("q", EVERY), trails.from("q", EVERY)), (0, 200));
        trails.taken("q", [1, 2].into_iter());
        assert_eq!(trails.from("q", EVERY), 0);
    }
}

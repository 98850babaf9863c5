//! How well a core runs a thread that does nothing but look at the clock: the floor of every lag that
//! is measured on it. A virtual machine's core stands still while the host runs something else.

use std::time::Duration;

use tokio::time::Instant;

/// A look at the clock takes a fraction of a microsecond; one that takes this long was interrupted.
const LEAST: Duration = Duration::from_micros(100);

/// What was missing from a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Standstill {
    count: u32,
    sum: Duration,
    longest: Duration,
    watched: Duration,
}

impl Standstill {
    /// Watches the calling thread's core, keeping it busy.
    pub(super) fn watch(lasts: Duration) -> Self {
        let mut found = Self::default();
        let mut last = Instant::now();
        while found.watched < lasts {
            let now = Instant::now();
            found.add(now - last);
            last = now;
        }
        found
    }

    fn add(&mut self, gap: Duration) {
        self.watched += gap;
        if gap >= LEAST {
            self.count += 1;
            self.sum += gap;
            self.longest = self.longest.max(gap);
        }
    }

    /// In words.
    pub(super) fn text(&self, cores: &[usize]) -> String {
        let share = self.sum.as_secs_f64() / self.watched.as_secs_f64().max(1e-9);
        format!(
            "bare core {cores:?}: in {:.0} s it stood still {} times for 0.1 ms or more, {:.2} % of the time, {:.1} ms at most; no lag here can be better",
            self.watched.as_secs_f64(),
            self.count,
            share * 100.0,
            self.longest.as_secs_f64() * 1e3
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_gaps_are_the_looking_and_long_ones_are_standstills() {
        let mut found = Standstill::default();
        [20_u64, 99, 100, 4_000, 5_781]
            .into_iter()
            .for_each(|us| found.add(Duration::from_micros(us)));
        assert_eq!(
            found.text(&[0]),
            "bare core [0]: in 0 s it stood still 3 times for 0.1 ms or more, 98.81 % of the time, 5.8 ms at most; no lag here can be better"
        );
    }

    #[test]
    fn it_watches_as_long_as_it_is_told() {
        let lasts = Duration::from_millis(20);
        let found = Standstill::watch(lasts);
        assert!(found.watched >= lasts && found.sum <= found.watched, "{found:?}");
    }
}

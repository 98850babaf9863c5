//! What disturbs the generator: stalls of its core, and time that the hypervisor takes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use record::{Generator, Stall, latency};

/// The sleep whose lateness tells of stalls (after jHiccup).
const HICCUP_SLEEP: Duration = Duration::from_millis(5);
/// A sleep that ends so late has met a machine that stood still. What is shorter may be others' turn on this
/// core; whatever was due then is seen to be sent late.
const STALL_LEAST: Duration = Duration::from_millis(20);
/// So many are kept: a machine that stands still more often is not to be measured on.
const STALLS_MAX: usize = 10_000;

/// Watches for stalls of the generator's core: an idle thread whose sleeps end late.
pub struct Hiccups {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Heard>,
    steal: (u64, u64),
}

struct Heard {
    lateness: Histogram<u64>,
    stalls: Vec<Stall>,
}

impl Heard {
    /// A sleep that began so long after second 0, or before it, has ended so late.
    fn add(&mut self, begun: Option<Duration>, late: Duration) {
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.lateness.saturating_record(late_us.max(1));
        let counts = late >= STALL_LEAST && self.stalls.len() < STALLS_MAX;
        if let Some(begun) = begun.filter(|_| counts) {
            // It may have begun with the sleep.
            let ms = (late + HICCUP_SLEEP).as_secs_f64() * 1e3;
            self.stalls.push(Stall { at_s: begun.as_secs_f64(), ms });
        }
    }
}

impl Hiccups {
    /// Begins; second 0 is `start`. `prepare` is done by its thread first: it takes the sender's priority, so
    /// that what disturbs neither is no stall.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(start: Instant, prepare: fn()) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut heard = Heard { lateness: latency::histogram()?, stalls: Vec::new() };
        let thread = thread::Builder::new().name("hiccups".to_owned()).spawn(move || {
            prepare();
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(HICCUP_SLEEP);
                let late = begun.elapsed().saturating_sub(HICCUP_SLEEP);
                heard.add(begun.checked_duration_since(start), late);
            }
            heard
        })?;
        Ok(Self { stop, thread, steal: read_steal() })
    }

    /// Ends, fills its part of the generator's account, and says when the machine stood still.
    #[must_use]
    pub fn stop(self, generator: &mut Generator) -> Vec<Stall> {
        self.stop.store(true, Ordering::Relaxed);
        let (stolen, total) = read_steal();
        let elapsed = total.saturating_sub(self.steal.1).max(1);
        generator.steal_share = stolen.saturating_sub(self.steal.0) as f64 / elapsed as f64;
        let Ok(Heard { lateness, stalls }) = self.thread.join() else { return Vec::new() };
        generator.hiccup_p99_us = lateness.value_at_quantile(0.99);
        generator.hiccup_max_us = lateness.max();
        stalls
    }
}

/// Ticks stolen by the hypervisor, and all ticks, of all cores (proc(5), /proc/stat).
fn read_steal() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(|n| n.parse().unwrap_or(0))
        .collect();
    (ticks.get(7).copied().unwrap_or(0), ticks.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_that_ends_much_too_late_is_a_stall_from_its_beginning_on() {
        let mut heard = Heard { lateness: latency::histogram().unwrap(), stalls: Vec::new() };
        let ms = Duration::from_millis;
        heard.add(Some(ms(1_000)), ms(19));
        // Before second 0 it met no request.
        heard.add(None, ms(300));
        assert_eq!(heard.stalls, []);
        heard.add(Some(ms(2_000)), ms(95));
        assert_eq!(heard.stalls, [Stall { at_s: 2.0, ms: 100.0 }]);
        assert_eq!(heard.lateness.len(), 3);
    }
}

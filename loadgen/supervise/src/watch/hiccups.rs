//! What disturbs the generator: stalls of its core, and time that the hypervisor takes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use record::{Generator, latency};

/// The sleep whose lateness tells of stalls (after jHiccup).
const HICCUP_SLEEP: Duration = Duration::from_millis(5);

/// Watches for stalls of the generator's core: an idle thread whose sleeps end late.
pub struct Hiccups {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Histogram<u64>>,
    steal: (u64, u64),
}

impl Hiccups {
    /// Begins.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start() -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut lateness = latency::histogram()?;
        let thread = thread::Builder::new().name("hiccups".to_owned()).spawn(move || {
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
            while !stopped.load(Ordering::Relaxed) {
                let due = Instant::now() + HICCUP_SLEEP;
                thread::sleep(HICCUP_SLEEP);
                let late_us = due.elapsed().as_micros().max(1);
                lateness.saturating_record(u64::try_from(late_us).unwrap_or(u64::MAX));
            }
            lateness
        })?;
        Ok(Self { stop, thread, steal: read_steal() })
    }

    /// Ends, and fills its part of the generator's account.
    pub fn stop(self, generator: &mut Generator) {
        self.stop.store(true, Ordering::Relaxed);
        let (stolen, total) = read_steal();
        let elapsed = total.saturating_sub(self.steal.1).max(1);
        generator.steal_share = stolen.saturating_sub(self.steal.0) as f64 / elapsed as f64;
        if let Ok(lateness) = self.thread.join() {
            generator.hiccup_p99_us = lateness.value_at_quantile(0.99);
            generator.hiccup_max_us = lateness.max();
        }
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

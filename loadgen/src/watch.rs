//! Watching while the load runs: what processes use, and what disturbs the generator.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::param::clock_ticks_per_second;
use tokio::time::Instant;

use crate::launch::{Pids, lock};
use crate::record::{Generator, ResourceRow, latency};

const INTERVAL: Duration = Duration::from_secs(1);
/// How often the watcher looks whether it should stop.
const NAP: Duration = Duration::from_millis(20);
/// The sleep whose lateness tells of stalls (after jHiccup).
const HICCUP_SLEEP: Duration = Duration::from_millis(5);

/// Samples the processes in `pids` once per second, from its own thread.
pub struct Watch {
    stop: Arc<AtomicBool>,
    look: Arc<AtomicBool>,
    thread: JoinHandle<Vec<ResourceRow>>,
}

impl Watch {
    /// Begins; times are relative to `start`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(pids: Pids, start: Instant) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let look = Arc::new(AtomicBool::new(false));
        let (stopped, asked) = (Arc::clone(&stop), Arc::clone(&look));
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let mut sampler = Sampler::new(pids, start);
            sampler.rows.clear();
            let mut next = start + INTERVAL;
            while !stopped.load(Ordering::Relaxed) {
                if Instant::now() >= next || asked.swap(false, Ordering::Relaxed) {
                    sampler.sample();
                    while next <= Instant::now() {
                        next += INTERVAL;
                    }
                }
                thread::sleep(NAP);
            }
            sampler.sample();
            sampler.rows
        })?;
        Ok(Self { stop, look, thread })
    }

    /// Asks for a sample out of turn: a process is about to be killed and its account with it.
    pub fn look(&self) {
        self.look.store(true, Ordering::Relaxed);
    }

    /// Ends, with a last sample.
    #[must_use]
    pub fn stop(self) -> Vec<ResourceRow> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

struct Sampler {
    pids: Pids,
    start: Instant,
    /// CPU seconds at the last sample, by process id.
    before: BTreeMap<u32, f64>,
    rows: Vec<ResourceRow>,
}

impl Sampler {
    fn new(pids: Pids, start: Instant) -> Self {
        let mut sampler = Self { pids, start, before: BTreeMap::new(), rows: Vec::new() };
        sampler.sample();
        sampler
    }

    fn sample(&mut self) {
        let pids = lock(&self.pids).clone();
        let t_s = Instant::now().saturating_duration_since(self.start).as_secs_f64();
        for (process, pid) in pids {
            let Some(used) = read_process(pid) else { continue };
            let before = self.before.insert(pid, used.cpu_s).unwrap_or(0.0);
            self.rows.push(ResourceRow {
                t_s,
                process,
                pid,
                cpu_s: (used.cpu_s - before).max(0.0),
                rss_bytes: used.rss_bytes,
                threads: used.threads,
                fds: used.fds,
            });
        }
    }
}

struct Used {
    cpu_s: f64,
    rss_bytes: u64,
    threads: u32,
    fds: u32,
}

/// proc(5): fields 14, 15 are user and system ticks, 20 threads, 24 resident pages.
fn read_process(pid: u32) -> Option<Used> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold anything, but its closing parenthesis is the last.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Some(Used {
        cpu_s: (number(14)? + number(15)?) as f64 / clock_ticks_per_second() as f64,
        rss_bytes: number(24)? * rustix::param::page_size() as u64,
        threads: u32::try_from(number(20)?).ok()?,
        fds: u32::try_from(fds).ok()?,
    })
}

/// CPU seconds of this process so far, in ticks of 10 ms.
pub(crate) fn own_cpu_s() -> f64 {
    read_process(std::process::id()).map_or(0.0, |used| used.cpu_s)
}

/// The state letter of a process: R, S, D, T, Z.
pub(crate) fn process_state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Run and wait time of a thread, seconds (schedstat).
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadTime {
    /// On a core.
    pub run_s: f64,
    /// Runnable, but waiting for a core.
    pub wait_s: f64,
}

impl ThreadTime {
    /// The calling thread's so far; zero where the kernel does not tell.
    #[must_use]
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|n| n.parse::<f64>().unwrap_or(0.0) / 1e9);
        Self { run_s: numbers.next().unwrap_or(0.0), wait_s: numbers.next().unwrap_or(0.0) }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let used = read_process(std::process::id()).unwrap();
        assert!(used.rss_bytes > 100_000 && used.threads >= 1 && used.fds >= 1);
        assert!(matches!(process_state(std::process::id()), Some('R' | 'S')));
        assert!(read_process(u32::MAX).is_none());
    }
}

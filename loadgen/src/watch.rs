//! Watching while the load runs: what processes use, and what disturbs the generator.

mod sizes;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::param::clock_ticks_per_second;
use rustix::process::setpriority_process;
use tokio::time::Instant;

use crate::launch::{InForce, lock};
use crate::record::{FileRow, GENERATOR, Generator, ResourceRow, latency};
use crate::tree::{Census, Stat};
use sizes::Sizes;

const INTERVAL: Duration = Duration::from_secs(1);
/// How often the watcher looks whether it should stop.
const NAP: Duration = Duration::from_millis(20);
/// The sleep whose lateness tells of stalls (after jHiccup).
const HICCUP_SLEEP: Duration = Duration::from_millis(5);

/// Who is meant by a process's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// This one.
    Alone(u32),
    /// All that descends from this one, which is none of them.
    Below(u32),
}

/// The watcher gives way to the sender, which shares its core.
const NICE: i32 = 10;

/// Samples the processes in force once per second, from its own thread.
pub struct Watch {
    stop: Arc<AtomicBool>,
    look: Arc<AtomicBool>,
    thread: JoinHandle<Watching>,
}

/// What was seen of a trial.
#[derive(Debug, Default)]
pub struct Watching {
    /// What processes used.
    pub resources: Vec<ResourceRow>,
    /// How large files were.
    pub files: Vec<FileRow>,
}

impl Watch {
    /// Begins; times are relative to `start`, files lie in the trial's folder.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(watched: InForce, folder: PathBuf, start: Instant) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let look = Arc::new(AtomicBool::new(false));
        let (stopped, asked) = (Arc::clone(&stop), Arc::clone(&look));
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(move || {
            // Without it a sample could delay a request by what it takes, half a millisecond.
            let _ = setpriority_process(None, NICE);
            let mut sampler = Sampler::new(watched, start);
            sampler.rows.clear();
            let mut sizes = Sizes::new(folder, start);
            let mut next = start + INTERVAL;
            while !stopped.load(Ordering::Relaxed) {
                if Instant::now() >= next || asked.swap(false, Ordering::Relaxed) {
                    sampler.sample();
                    sizes.sample_when_due();
                    while next <= Instant::now() {
                        next += INTERVAL;
                    }
                }
                thread::sleep(NAP);
            }
            sampler.sample();
            sizes.sample();
            Watching { resources: sampler.rows, files: sizes.rows }
        })?;
        Ok(Self { stop, look, thread })
    }

    /// Asks for a sample out of turn: a process is about to be killed and its account with it.
    pub fn look(&self) {
        self.look.store(true, Ordering::Relaxed);
    }

    /// Ends, with a last sample.
    #[must_use]
    pub fn stop(self) -> Watching {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

struct Sampler {
    watched: InForce,
    start: Instant,
    /// CPU ticks at the last sample, by who was watched.
    before: BTreeMap<u32, u64>,
    rows: Vec<ResourceRow>,
}

impl Sampler {
    fn new(watched: InForce, start: Instant) -> Self {
        let mut sampler = Self { watched, start, before: BTreeMap::new(), rows: Vec::new() };
        sampler.sample();
        sampler
    }

    fn sample(&mut self) {
        let mut watched = lock(&self.watched).clone();
        watched.insert(GENERATOR.to_owned(), Watched::Alone(std::process::id()));
        let t_s = Instant::now().saturating_duration_since(self.start).as_secs_f64();
        let census = Census::take();
        for (process, who) in watched {
            let Some(used) = Used::of(&census, who) else { continue };
            let (Watched::Alone(key) | Watched::Below(key)) = who;
            let before = self.before.insert(key, used.cpu_ticks).unwrap_or(0);
            self.rows.push(ResourceRow {
                t_s,
                process,
                pid: used.pid,
                cpu_s: used.cpu_ticks.saturating_sub(before) as f64 / ticks_per_s(),
                rss_bytes: used.rss_bytes,
                threads: used.threads,
                fds: used.fds,
                processes: Some(used.processes),
            });
        }
    }
}

/// What a process uses, all that descends from it taken together.
struct Used {
    /// The first of them.
    pid: u32,
    cpu_ticks: u64,
    rss_bytes: u64,
    threads: u32,
    fds: u32,
    processes: u32,
}

impl Used {
    /// Nothing if nobody is there.
    fn of(census: &Census, who: Watched) -> Option<Self> {
        let (members, top) = match who {
            Watched::Alone(pid) => (census.get(pid).into_iter().collect(), None),
            Watched::Below(top) => (census.below(top), census.get(top)),
        };
        let first: &Stat = members.first()?;
        // Of those who have ended, whoever waited for them has the account; at last it is the keeper.
        let ended = top.map_or(0, |top| top.reaped_ticks);
        let cpu = |stat: &&Stat| stat.own_ticks + stat.reaped_ticks;
        Some(Self {
            pid: first.pid,
            cpu_ticks: ended + members.iter().map(cpu).sum::<u64>(),
            rss_bytes: resident_bytes(&members),
            threads: members.iter().map(|stat| stat.threads).sum(),
            fds: members.iter().map(|stat| open_files(stat.pid)).sum(),
            processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
        })
    }
}

/// The resident set; of several processes their proportional shares, so that what they share counts once.
fn resident_bytes(members: &[&Stat]) -> u64 {
    let resident = |stat: &Stat| stat.resident_pages * rustix::param::page_size() as u64;
    match members {
        [alone] => resident(alone),
        members => members.iter().map(|s| share_bytes(s.pid).unwrap_or(resident(s))).sum(),
    }
}

/// proc(5), smaps_rollup: Pss in KiB.
fn share_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

fn open_files(pid: u32) -> u32 {
    let count = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn ticks_per_s() -> f64 {
    clock_ticks_per_second() as f64
}

/// CPU seconds of this process so far, in ticks of 10 ms.
pub(crate) fn own_cpu_s() -> f64 {
    Stat::read(std::process::id()).map_or(0.0, |stat| stat.own_ticks as f64 / ticks_per_s())
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
        let used = Used::of(&Census::take(), Watched::Alone(std::process::id())).unwrap();
        assert!(used.rss_bytes > 100_000 && used.threads >= 1 && used.fds >= 1);
        assert_eq!(used.processes, 1);
        assert!(Used::of(&Census::take(), Watched::Alone(u32::MAX)).is_none());
    }

    /// A shell whose children work: all of it is its use, also when they have ended.
    #[test]
    fn what_descendants_use_is_counted_and_stays_counted() {
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let script = format!("sh -c '{work}'; sleep 60 & sleep 60 & wait");
        let mut shell = std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let used = loop {
            let census = Census::take();
            if census.below(shell.id()).len() == 2 {
                break Used::of(&census, Watched::Below(shell.id())).unwrap();
            }
            thread::yield_now();
        };
        assert!(used.cpu_ticks >= 2, "{}: the worker was the shell's to wait for", used.cpu_ticks);
        assert_eq!((used.processes, used.threads), (2, 2));
        assert!(used.rss_bytes > 0 && used.rss_bytes < 20_000_000);
        crate::tree::kill(shell.id()).unwrap();
        shell.wait().unwrap();
    }
}

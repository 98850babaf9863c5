//! Watching while the load runs: what processes use, and what disturbs the generator.

mod hiccups;
mod sizes;
mod used;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::setpriority_process;
use tokio::time::Instant;

use crate::mutex::lock;
use crate::tree::Census;
use crate::watched::{InForce, Watched};
use record::{FileRow, GENERATOR, ResourceRow};

pub use hiccups::Hiccups;
use sizes::Sizes;
use used::{Used, ticks_per_s};

const INTERVAL: Duration = Duration::from_secs(1);
/// How often the watcher looks whether it should stop.
const NAP: Duration = Duration::from_millis(20);
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

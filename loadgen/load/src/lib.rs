//! One load: the engine on its thread, the recorder on another, and what both report.

pub mod abort;
pub mod engine;
pub mod live;
mod own_time;
pub mod priority;
pub mod profile;
pub mod recorder;
pub mod workload;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::{oneshot, watch};
use tokio::time::interval;

use crate::engine::{
    AnyTraffic, Engine, Gauges, Pacing, Policy, Schedule, Sessions, Summary, Target, Think,
    Traffic, Users,
};
use crate::profile::Profile;
use crate::recorder::{Recording, Totals};
use record::{Aborted, Operation, RequestCounts, Sample};
use scenario::{Arrivals, Loop, Mix, Retries};

use crate::workload::{Job, Workload};
pub use own_time::ThreadTime;
use own_time::own_cpu_s;

/// Batches of 512 samples (28 KiB) that may wait for the recorder: a quarter of a million requests,
/// twenty seconds at the generator's ceiling of 12,000/s.
const BATCHES_MAX: usize = 512;

/// How often is told how far a load is.
const TELL: Duration = Duration::from_millis(200);

/// What is asked, and when: everything that is fixed before the run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rate curve.
    pub profile: Profile,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
    /// The operations: a mix among customers, or one request repeated.
    pub jobs: Jobs,
    /// Until when, ns, which other mix is asked for in an open loop; empty: none.
    pub mixes: Vec<(u64, Mix)>,
    /// Who waits for whom.
    pub form: Loop,
    /// How customers ask again; without it they do not.
    pub retries: Option<Retries>,
    /// Seed of all.
    pub seed: u64,
}

/// The operations of a plan.
#[derive(Clone, Copy, Debug)]
pub enum Jobs {
    /// The shop's.
    Shop {
        /// Their weights.
        mix: Mix,
        /// Among how many customers.
        customers: u32,
    },
    /// The same request for every arrival.
    Same,
}

impl Jobs {
    fn asked(self, mut job: Job) -> Job {
        if matches!(self, Self::Same) {
            job.operation = Operation::Request;
        }
        job
    }
}

impl Plan {
    /// Pairs of intended instant (ns since second 0) and job, in order.
    pub fn schedule(&self) -> impl Iterator<Item = (u64, Job)> + '_ {
        let mut jobs = self.workload();
        let instants = self.profile.instants(self.arrivals, self.seed);
        instants.map(move |at_ns| (at_ns, self.jobs.asked(jobs.at(at_ns))))
    }

    /// The operations without their instants.
    fn jobs(&self) -> impl Iterator<Item = Job> + use<> {
        let jobs = self.jobs;
        self.workload().map(move |job| jobs.asked(job))
    }

    fn workload(&self) -> Workload {
        let (mix, customers) = match self.jobs {
            Jobs::Shop { mix, customers } => (mix, customers),
            Jobs::Same => (Mix { place: 1.0, ..Mix::default() }, 1),
        };
        Workload::new(mix, customers, self.seed).with_mixes(self.mixes.clone())
    }

    /// Runs the engine with the source that this plan's loop asks for.
    fn attack<T: Traffic>(
        &self,
        traffic: T,
        targets: Vec<Target>,
        pacing: Pacing,
        gauges: Arc<Gauges>,
        samples: mpsc::SyncSender<Vec<Sample>>,
    ) -> std::io::Result<Summary> {
        let think = |mean_ns| Think::new(mean_ns, self.seed);
        let again = self.retries.clone().map(|retries| Policy { retries, seed: self.seed });
        match &self.form {
            Loop::Open => {
                // Only here: in the other loops it may be busy for long, and the kernel stops a real-time
                // thread that runs for 95 % of a second.
                let real_time = pacing.real_time && priority::take_real_time();
                let source = Schedule::new(self.schedule());
                let engine = Engine::new(traffic, source, targets, pacing, gauges, samples)?;
                Ok(Summary { real_time, ..engine.with_retries(again).run()? })
            }
            Loop::Closed { users, think_ns, until_ns, poll_ns } => {
                let jobs = self.jobs();
                let source = Users::new(*users, think(*think_ns), *until_ns, jobs);
                let source = source.until_final(*poll_ns);
                let engine = Engine::new(traffic, source, targets, pacing, gauges, samples)?;
                engine.with_retries(again).run()
            }
            Loop::PartlyOpen { steps, think_ns } => {
                let source = Sessions::new(self.schedule(), steps.clone(), think(*think_ns));
                let engine = Engine::new(traffic, source, targets, pacing, gauges, samples)?;
                engine.with_retries(again).run()
            }
        }
    }

    /// SHA-256 over the intended instants, and over the operations; the number of arrivals. Of a load that
    /// was stopped only the first `due` arrivals count: the rest may be beyond any patience.
    #[must_use]
    pub fn hashes(&self, due: Option<u64>) -> (String, String, u64) {
        let (mut instants, mut operations, mut count) = (Sha256::new(), Sha256::new(), 0);
        for (at_ns, job) in self.schedule().take(limit(due)) {
            instants.update(at_ns.to_le_bytes());
            operations.update(job.operation.as_str().as_bytes());
            operations.update(job.customer.to_le_bytes());
            operations.update(job.amount_cents().to_le_bytes());
            operations.update((job.back() as u64).to_le_bytes());
            count += 1;
        }
        (hex(&instants.finalize()), hex(&operations.finalize()), count)
    }
}

/// As many as an iterator may give.
fn limit(due: Option<u64>) -> usize {
    due.and_then(|due| usize::try_from(due).ok()).unwrap_or(usize::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What the load's threads report.
pub struct Loaded {
    /// The engine's account.
    pub summary: Summary,
    /// The recorder's counts.
    pub totals: Totals,
    /// The engine thread's time on and off its core.
    pub thread: ThreadTime,
    /// CPU seconds of all threads while the load ran.
    pub cpu_s: f64,
}

impl Loaded {
    /// The condition that ended the load early, if one did: one that held when all was over did not.
    #[must_use]
    pub fn aborted(&self) -> Option<&Aborted> {
        self.totals.aborted.as_ref().filter(|_| self.summary.interrupted)
    }

    /// How many arrivals were due when it was stopped; nothing if it was not, for then all were.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let recorded = || self.totals.counts.values().map(RequestCounts::recorded).sum();
        self.summary.interrupted.then(recorded)
    }

    /// Whether it was stopped before its end, and not by a condition of its scenario.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.summary.interrupted && self.aborted().is_none()
    }
}

/// A load that runs on threads of its own.
pub struct Load {
    engine: oneshot::Receiver<std::io::Result<(Summary, ThreadTime)>>,
    cpu_before_s: f64,
    recorder: thread::JoinHandle<anyhow::Result<Totals>>,
}

impl Load {
    /// Starts the engine and the recorder; second 0 is `pacing.start`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        traffic: impl Into<AnyTraffic>,
        targets: Vec<Target>,
        plan: Plan,
        pacing: Pacing,
        gauges: Arc<Gauges>,
        record: impl Into<Recording>,
    ) -> anyhow::Result<Self> {
        Self::begin(traffic.into(), targets, plan, pacing, gauges, record.into())
    }

    fn begin(
        traffic: AnyTraffic,
        targets: Vec<Target>,
        plan: Plan,
        pacing: Pacing,
        gauges: Arc<Gauges>,
        recording: Recording,
    ) -> anyhow::Result<Self> {
        let (samples, recorded) = mpsc::sync_channel(BATCHES_MAX);
        let (report, engine) = oneshot::channel();
        let cpu_before_s = own_cpu_s();
        let watched = Arc::clone(&gauges);
        thread::Builder::new().name("attack".to_owned()).spawn(move || {
            let before = ThreadTime::now();
            let summary = match traffic {
                AnyTraffic::Shop(shop) => plan.attack(shop, targets, pacing, gauges, samples),
                AnyTraffic::Url(url) => plan.attack(url, targets, pacing, gauges, samples),
            };
            let after = ThreadTime::now();
            let spent = ThreadTime {
                run_s: after.run_s - before.run_s,
                wait_s: after.wait_s - before.wait_s,
            };
            // A waiter that has gone away wants no report.
            let _ = report.send(summary.map(|s| (s, spent)));
        })?;
        let recorder = thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || recorder::write(recording, &recorded, &watched.stop))?;
        Ok(Self { engine, cpu_before_s, recorder })
    }

    /// Waits as [`Self::end`] does, and stops the load when it is interrupted; `tell` is called meanwhile.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub async fn follow(
        self,
        gauges: &Gauges,
        interrupt: watch::Receiver<bool>,
        tell: &dyn Fn(),
    ) -> anyhow::Result<Loaded> {
        let mut tick = interval(TELL);
        let end = self.end();
        tokio::pin!(end);
        loop {
            tokio::select! {
                loaded = &mut end => return loaded,
                _ = tick.tick() => {
                    if *interrupt.borrow() {
                        gauges.stop.store(true, Ordering::Relaxed);
                    }
                    tell();
                }
            }
        }
    }

    /// Waits for the end of the load and of its recording.
    ///
    /// # Errors
    /// If the engine or the recorder failed.
    pub async fn end(self) -> anyhow::Result<Loaded> {
        let engine = self.engine.await;
        let joined = tokio::task::spawn_blocking(move || self.recorder.join()).await?;
        // First: where nobody records, nobody sends either.
        let totals = joined.map_err(|_| anyhow::anyhow!("the recording thread ended early"))??;
        let (summary, thread) = engine.context("the sending thread ended early")??;
        let cpu_s = own_cpu_s() - self.cpu_before_s;
        Ok(Loaded { summary, totals, thread, cpu_s })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::time::Instant;

    use super::*;
    use crate::engine::{Flaw, Request, UrlTraffic};

    const REQUESTS: u64 = 20_000;

    /// All but one of its requests are dropped, and nobody takes what it records until it has ended.
    #[test]
    fn what_the_recorder_does_not_take_is_counted_and_delays_nothing() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let plan = Plan {
            profile: Profile::constant(REQUESTS as f64 * 10.0, 0.1),
            arrivals: Arrivals::Constant,
            jobs: Jobs::Same,
            mixes: Vec::new(),
            form: Loop::Open,
            retries: None,
            seed: 1,
        };
        let second = Duration::from_secs(1);
        let pacing = Pacing {
            start: Instant::now(),
            in_flight: 1,
            timeout: second,
            drain: second,
            alone: false,
            real_time: false,
            flaw: Flaw::None,
        };
        let traffic = UrlTraffic::new(Request::get(&address.to_string(), "/"));
        let gauges = Arc::new(Gauges::default());
        let (samples, recorded) = mpsc::sync_channel(2);
        let shown = Arc::clone(&gauges);
        let engine = thread::spawn(move || {
            plan.attack(traffic, vec![address.into()], pacing, shown, samples)
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        while gauges.begun.load(Ordering::Relaxed) < REQUESTS {
            assert!(Instant::now() < deadline, "the engine waits for the recorder");
            thread::yield_now();
        }
        let taken: u64 = recorded.iter().map(|batch| batch.len() as u64).sum();
        let unrecorded = engine.join().unwrap().unwrap().unrecorded;
        assert!(unrecorded > 0);
        assert_eq!(taken + unrecorded, REQUESTS);
    }
}

//! One load: the engine on its thread, the recorder on another, and what both report.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::attack::{Engine, Gauges, Pacing, Summary, Traffic};
use crate::history::{self, Totals};
use crate::profile::Profile;
use crate::scenario::{Arrivals, Mix};
use crate::watch::ThreadTime;
use crate::workload::{Job, Operation, Workload};

/// What is asked, and when: everything that is fixed before the run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rate curve.
    pub profile: Profile,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
    /// The operations: a mix among customers, or one request repeated.
    pub jobs: Jobs,
    /// Seed of both.
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

impl Plan {
    /// Pairs of intended instant (ns since second 0) and job, in order.
    pub fn schedule(&self) -> impl Iterator<Item = (u64, Job)> + '_ {
        let (mix, customers) = match self.jobs {
            Jobs::Shop { mix, customers } => (mix, customers),
            Jobs::Same => (Mix { place: 1.0, ..Mix::default() }, 1),
        };
        let same = matches!(self.jobs, Jobs::Same);
        let jobs = Workload::new(mix, customers, self.seed).map(move |mut job| {
            if same {
                job.operation = Operation::Request;
            }
            job
        });
        self.profile.instants(self.arrivals, self.seed).zip(jobs)
    }

    /// SHA-256 over the intended instants, and over the operations; the number of arrivals.
    #[must_use]
    pub fn hashes(&self) -> (String, String, u64) {
        let (mut instants, mut operations, mut count) = (Sha256::new(), Sha256::new(), 0);
        for (at_ns, job) in self.schedule() {
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
}

/// A load that runs on threads of its own.
pub struct Load {
    engine: oneshot::Receiver<std::io::Result<(Summary, ThreadTime)>>,
    recorder: thread::JoinHandle<anyhow::Result<Totals>>,
}

impl Load {
    /// Starts the engine and the recorder; second 0 is `pacing.start`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start<T: Traffic + 'static>(
        traffic: T,
        targets: Vec<SocketAddr>,
        plan: Plan,
        pacing: Pacing,
        gauges: Arc<Gauges>,
        record: (PathBuf, String),
    ) -> anyhow::Result<Self> {
        let (samples, recorded) = mpsc::channel();
        let (report, engine) = oneshot::channel();
        let attack = Engine::new(traffic, targets, pacing, gauges, samples)?;
        thread::Builder::new().name("attack".to_owned()).spawn(move || {
            let before = ThreadTime::now();
            let summary = attack.run(plan.schedule());
            let after = ThreadTime::now();
            let spent = ThreadTime {
                run_s: after.run_s - before.run_s,
                wait_s: after.wait_s - before.wait_s,
            };
            // A waiter that has gone away wants no report.
            let _ = report.send(summary.map(|s| (s, spent)));
        })?;
        let (folder, prefix) = record;
        let recorder = thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || history::write(&folder, &prefix, &recorded))?;
        Ok(Self { engine, recorder })
    }

    /// Waits for the end of the load and of its recording.
    ///
    /// # Errors
    /// If the engine or the recorder failed.
    pub async fn end(self) -> anyhow::Result<Loaded> {
        let (summary, thread) = self.engine.await.context("the sending thread ended early")??;
        let joined = tokio::task::spawn_blocking(move || self.recorder.join()).await?;
        let totals = joined.map_err(|_| anyhow::anyhow!("the recording thread ended early"))??;
        Ok(Loaded { summary, totals, thread })
    }
}

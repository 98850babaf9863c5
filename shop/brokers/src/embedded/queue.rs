//! The durable queue: batches of changes on a database whose writers share commits.
//!
//! It owns the file; it knows no socket. `keep_time` must run beside it: it ends backoffs and leases.

use process_log::tell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use group_commit::{Commit, Database, Synchronous};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::alarm::Alarm;
use super::batch::{self, Batch, Operation, Outcome, SCHEMA};
use super::claiming::{Claimed, Left};
use super::offers::Offer;
use super::reading;
use super::reading::TopicDepth;
use super::topics::{Counters, Counts, Topic, Topics, count};
use crate::claim::Claim;
use crate::clock::now_us;
use crate::window::Share;
use crate::{DeadLetter, Depth, Error, Micros, Receipt, Result, Settings, Settle};

/// Changes that share one transaction, where transactions share commits too.
const BATCH_MAX: usize = 256;
/// How soon a sweep that failed is tried again.
const SWEEP_AGAIN_US: Micros = 1_000_000;

/// How to open a queue.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is promised for every topic.
    pub settings: Settings,
    /// `Each` gives every change its own fsync: for comparison only.
    pub commit: Commit,
    /// Whether a publish reaches the disk before it is answered; less than `Full` is for controls.
    pub synchronous: Synchronous,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            commit: Commit::Group,
            synchronous: Synchronous::Full,
        }
    }
}

/// Durable queues by topic, in one SQLite file.
pub struct Queue {
    database: Database,
    batch_max: usize,
    shared: Arc<Shared>,
}

/// What the writing thread needs too.
struct Shared {
    settings: Settings,
    topics: Topics,
    alarm: Alarm,
    counters: Counters,
    /// Tells this file from all others.
    epoch: u64,
    /// Whether a transaction that makes messages ready also claims them for who waits.
    claims_at_once: bool,
}

impl Queue {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// If it cannot be opened, is not this queue's, or cannot be made durable.
    pub fn open(path: &Path, options: Options) -> std::result::Result<Self, group_commit::Error> {
        let Options { settings, commit, synchronous } = options;
        let open = group_commit::Options { commit, synchronous, ..Default::default() };
        let lease = settings.lease;
        let first = |connection: &Connection| batch::begin(connection, lease);
        let (database, epoch) = Database::open_with(path, SCHEMA, open, first)?;
        let batch_max = if commit == Commit::Each { 1 } else { BATCH_MAX };
        let (topics, alarm, counters) = (Topics::default(), Alarm::new(), Counters::default());
        alarm.arm(now_us());
        let claims_at_once = commit == Commit::Group;
        let shared = Arc::new(Shared { settings, topics, alarm, counters, epoch, claims_at_once });
        Ok(Self { database, batch_max, shared })
    }

    /// Ends backoffs and leases as they come due.
    pub async fn keep_time(&self) -> Infallible {
        loop {
            self.shared.alarm.ring().await;
            match self.write(|batch| batch.expire()).await {
                Ok(next) => self.shared.alarm.arm(next.unwrap_or(Micros::MAX)),
                Err(error) => {
                    tell("leases-not-swept", || [("error", error.to_string().into())]);
                    self.shared.alarm.arm(now_us() + SWEEP_AGAIN_US);
                }
            }
        }
    }

    /// Messages by state.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be read.
    pub async fn depth(&self, topic: &str) -> Result<Depth> {
        let topic = topic.to_owned();
        self.read(move |connection| reading::depth(connection, &topic, now_us())).await
    }

    /// Messages by topic and state.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be read.
    pub async fn depths(&self) -> Result<Vec<TopicDepth>> {
        self.read(|connection| reading::depths(connection, now_us())).await
    }

    /// Which of these keys a message carries that is not dead.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be read.
    pub async fn holds(&self, topic: &str, keys: HashSet<String>) -> Result<HashSet<String>> {
        let topic = topic.to_owned();
        self.read(move |connection| reading::holds(connection, &topic, &keys)).await
    }

    /// At most `limit` dead letters with numbers above `after`, oldest first.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be read.
    pub async fn dead(&self, topic: &str, after: i64, limit: u32) -> Result<Vec<DeadLetter>> {
        let topic = topic.to_owned();
        self.read(move |connection| reading::dead(connection, &topic, after, limit)).await
    }

    /// Puts at most `limit` dead letters back, 1,000 at once; returns how many.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be written.
    pub async fn replay(&self, topic: &str, limit: u32) -> Result<u64> {
        let topic = topic.to_owned();
        self.write(move |batch| batch.replay(&topic, limit)).await
    }

    /// Whether the file can be read and its writer commits.
    ///
    /// # Errors
    /// `Unavailable` if not.
    pub async fn check(&self) -> Result<()> {
        self.database.check().await.map_err(unavailable)
    }

    /// What happened since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let group_commit::Stats { commits, transactions } = self.database.stats();
        Counts { commits, transactions, ..self.shared.counters.read() }
    }

    /// What this queue promises.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// How many operations `apply` takes best at once.
    pub(crate) fn batch_max(&self) -> usize {
        self.batch_max
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.shared.topics.get(name)
    }

    /// Makes these changes in one transaction, in order; returns when they are durable.
    pub(crate) async fn apply(&self, operations: Vec<Operation>) -> Result<Vec<Outcome>> {
        let shared = Arc::clone(&self.shared);
        self.write(move |batch| {
            let outcomes: rusqlite::Result<Vec<_>> =
                operations.iter().map(|operation| batch.run(operation)).collect();
            let outcomes = outcomes?;
            tally(&shared.counters, &operations, &outcomes);
            Ok(outcomes)
        })
        .await
    }

    /// Leases what has waited longest and fits the share. It may be delivered: its claims are durable.
    pub(super) async fn claim(&self, topic: &Arc<Topic>, share: Share) -> Result<Claimed> {
        let topic = Arc::clone(topic);
        let claimed = self.write(move |batch| batch.claim(&topic.name, share)).await?;
        count(&self.shared.counters.claims, claimed.handed.len());
        Ok(claimed)
    }

    /// Ends the claims of a consumer that left in order, or went away.
    pub(crate) async fn release(&self, claims: Vec<Claim>, how: Leaving) -> Result<()> {
        self.write(move |batch| match how {
            Leaving::InOrder => batch.give_back(&claims),
            Leaving::Gone => batch.take_back(&claims),
        })
        .await
    }

    /// What a receipt names.
    pub(crate) fn named(&self, receipt: &Receipt) -> Result<Claim> {
        Claim::of(receipt, self.shared.epoch).ok_or(Error::Fenced)
    }

    /// Runs a transaction. What it makes ready it claims for the consumers that wait; they get it
    /// when it is durable. It wakes others and arms the alarm from inside the job: that happens
    /// even if the caller goes away, and a claim that it starts is queued behind the commit.
    async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let work = move |connection: &Connection| {
            let mut batch = Batch::new(connection, &shared.settings, shared.epoch);
            let value = job(&mut batch)?;
            let served = shared.serve(&mut batch)?;
            batch.finish()?;
            if let Some(due_us) = batch.due_us {
                shared.alarm.arm(due_us);
            }
            // A taker waits until it is answered, so none is sent in vain.
            let send =
                move || served.into_iter().for_each(|(taker, claimed)| drop(taker.send(claimed)));
            Ok((value, send))
        };
        self.database.write_then(work).await.map_err(unavailable)
    }

    async fn read<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.database.read(job).await.map_err(unavailable)
    }
}

/// How a consumer leaves its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    InOrder,
    /// Perhaps because of one of them.
    Gone,
}

type Served = Vec<(oneshot::Sender<Claimed>, Claimed)>;

impl Shared {
    /// Claims what became ready for those who wait, and wakes one more if that leaves some.
    fn serve(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Served> {
        let mut served = Vec::new();
        let woken = std::mem::take(&mut batch.woken);
        for topic in woken.iter().filter_map(|name| self.topics.met(name)) {
            let mut left = Left::Some;
            while left != Left::Nothing
                && self.claims_at_once
                && let Some(Offer { share, taker, .. }) = topic.offers.take()
            {
                // If it fails, the taker is told by being dropped, and meets the error itself.
                let Some(claimed) = batch.claim_apart(&topic.name, share)? else { break };
                count(&self.counters.claims, claimed.handed.len());
                left = claimed.left;
                served.push((taker, claimed));
            }
            if left == Left::Some {
                topic.ready.notify_one();
            }
        }
        Ok(served)
    }
}

fn unavailable(error: group_commit::Error) -> Error {
    Error::Unavailable(format!("the broker's file: {error}"))
}

fn tally(counters: &Counters, operations: &[Operation], outcomes: &[Outcome]) {
    for (operation, outcome) in operations.iter().zip(outcomes) {
        let counter = match (operation, outcome) {
            (_, Err(Error::Fenced)) => &counters.fenced,
            (Operation::Publish { .. }, Ok(())) => &counters.publishes,
            (Operation::Settle(_, how), Ok(())) => match how {
                Settle::Ack => &counters.acks,
                Settle::Defer(_) => &counters.deferrals,
                Settle::Fail(_) => &counters.failures,
                Settle::Reject(_) => &counters.rejections,
            },
            (Operation::Extend(_), Ok(())) | (_, Err(_)) => continue,
        };
        count(counter, 1);
    }
}

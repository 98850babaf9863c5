//! The thread that writes: many transactions, one commit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{Commit, Error};

/// Transactions that may share one commit.
const BATCH_MAX: usize = 256;
/// Transactions that may wait; then the callers wait.
const WAITING_MAX: usize = 4_096;

type Value = Box<dyn Any + Send>;
type Outcome = Result<Value, Error>;
type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Value> + Send>;

struct Job {
    work: Work,
    reply: oneshot::Sender<Outcome>,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commits that reached the disk: one fsync each.
    pub commits: u64,
    /// Transactions in them.
    pub transactions: u64,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    transactions: AtomicU64,
}

pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    counters: Arc<Counters>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, commit: Commit) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        thread::Builder::new()
            .name("db-write".to_owned())
            .spawn(move || write_all(&connection, waiting, commit, &counted))?;
        Ok(Self { jobs, counters })
    }

    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| job(connection).map(|v| Box::new(v) as Value));
        self.jobs.send(Job { work, reply }).await.map_err(|_| Error::Closed)?;
        let value = answer.await.map_err(|_| Error::Closed)??;
        value.downcast().map(|v| *v).map_err(|_| Error::Closed)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            commits: self.counters.commits.load(Ordering::Relaxed),
            transactions: self.counters.transactions.load(Ordering::Relaxed),
        }
    }
}

fn write_all(
    connection: &Connection,
    mut waiting: mpsc::Receiver<Job>,
    commit: Commit,
    counters: &Counters,
) {
    let most = match commit {
        Commit::Group => BATCH_MAX,
        Commit::Each => 1,
    };
    let mut batch = Vec::with_capacity(most);
    while let Some(first) = waiting.blocking_recv() {
        batch.push(first);
        while batch.len() < most
            && let Ok(job) = waiting.try_recv()
        {
            batch.push(job);
        }
        let count = batch.len() as u64;
        if write_batch(connection, &mut batch) {
            counters.commits.fetch_add(1, Ordering::Relaxed);
            counters.transactions.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// Runs a batch and answers its callers; true if it was committed.
fn write_batch(connection: &Connection, batch: &mut Vec<Job>) -> bool {
    if let Err(error) = connection.execute_batch("begin immediate") {
        refuse(batch.drain(..).map(|job| job.reply), &error);
        return false;
    }
    let mut done = Vec::with_capacity(batch.len());
    for job in batch.drain(..) {
        // A full disk may have ended the whole transaction: then nothing more may run, for it
        // would commit on its own.
        let outcome = if connection.is_autocommit() {
            Err(Error::Closed)
        } else {
            in_savepoint(connection, job.work)
        };
        done.push((outcome, job.reply));
    }
    if let Err(error) = connection.execute_batch("commit") {
        // What was not committed is undone, so that the next batch begins clean.
        let _ = connection.execute_batch("rollback");
        refuse(done.into_iter().map(|(_, reply)| reply), &error);
        return false;
    }
    for (outcome, reply) in done {
        // A caller that has gone away wants no answer.
        let _ = reply.send(outcome);
    }
    true
}

fn in_savepoint(connection: &Connection, work: Work) -> Outcome {
    connection.prepare_cached("savepoint job")?.execute([])?;
    let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)));
    if !matches!(outcome, Ok(Ok(_))) {
        connection.prepare_cached("rollback to job")?.execute([])?;
    }
    connection.prepare_cached("release job")?.execute([])?;
    match outcome {
        Ok(result) => Ok(result?),
        Err(_panic) => Err(Error::Closed),
    }
}

/// Tells every caller why; `rusqlite::Error` cannot be copied, so its text is.
fn refuse(replies: impl Iterator<Item = oneshot::Sender<Outcome>>, error: &rusqlite::Error) {
    let code = error.sqlite_error().copied();
    for reply in replies {
        let text = Some(error.to_string());
        let copy = match code {
            Some(code) => rusqlite::Error::SqliteFailure(code, text),
            None => rusqlite::Error::InvalidParameterName(error.to_string()),
        };
        let _ = reply.send(Err(Error::Sqlite(copy)));
    }
}

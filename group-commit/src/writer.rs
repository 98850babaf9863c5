//! The thread that writes: many transactions, one commit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rusqlite::Connection;
use rusqlite::ffi::{SQLITE_ERROR, SQLITE_MISUSE};
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
        write_batch(connection, &mut batch, counters);
    }
}

/// Runs a batch, counts it if it is committed, and only then answers its callers.
fn write_batch(connection: &Connection, batch: &mut Vec<Job>, counters: &Counters) {
    if let Err(error) = connection.execute_batch("begin immediate") {
        refuse(batch.drain(..).map(|job| job.reply), &error);
        return;
    }
    let mut done = Vec::with_capacity(batch.len());
    let mut jobs = batch.drain(..);
    let mut ended = Ok(());
    for job in jobs.by_ref() {
        let outcome = in_savepoint(connection, job.work);
        let reply = job.reply;
        match outcome {
            Ok(outcome) => done.push((outcome, reply)),
            Err(error) => {
                done.push((Err(Error::Closed), reply));
                ended = Err(error);
                break;
            }
        }
    }
    let ended = ended.and_then(|()| connection.execute_batch("commit"));
    if let Err(error) = ended {
        // What was not committed is undone, so that the next batch begins clean. SQLite may have
        // done that already.
        let _ = connection.execute_batch("rollback");
        refuse(done.into_iter().map(|(_, reply)| reply).chain(jobs.map(|job| job.reply)), &error);
        return;
    }
    counters.commits.fetch_add(1, Ordering::Relaxed);
    counters.transactions.fetch_add(done.len() as u64, Ordering::Relaxed);
    for (outcome, reply) in done {
        // A caller that has gone away wants no answer.
        let _ = reply.send(outcome);
    }
}

/// The job's outcome; an outer error if the whole transaction cannot go on, because the job could
/// not be undone alone. A full disk is such a case: SQLite then rolls back everything itself, and
/// whatever ran next would commit on its own.
fn in_savepoint(connection: &Connection, work: Work) -> rusqlite::Result<Outcome> {
    connection.prepare_cached("savepoint job")?.execute([])?;
    let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)));
    if connection.is_autocommit() {
        let why = outcome.ok().and_then(Result::err);
        return Err(why.unwrap_or_else(|| {
            failure(SQLITE_MISUSE, "a job ended the shared transaction".to_owned())
        }));
    }
    if !matches!(outcome, Ok(Ok(_))) {
        connection.prepare_cached("rollback to job")?.execute([])?;
    }
    connection.prepare_cached("release job")?.execute([])?;
    Ok(match outcome {
        Ok(result) => result.map_err(Error::Sqlite),
        Err(_panic) => Err(Error::Closed),
    })
}

/// Tells every caller why; `rusqlite::Error` cannot be copied, so its code and text are.
fn refuse(replies: impl Iterator<Item = oneshot::Sender<Outcome>>, error: &rusqlite::Error) {
    let code = error.sqlite_error().map_or(SQLITE_ERROR, |e| e.extended_code);
    for reply in replies {
        let _ = reply.send(Err(Error::Sqlite(failure(code, error.to_string()))));
    }
}

fn failure(extended_code: i32, text: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(extended_code), Some(text))
}

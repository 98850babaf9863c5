//! The thread that writes: many transactions, one commit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rusqlite::Connection;
use rusqlite::ffi::{SQLITE_ERROR, SQLITE_MISUSE};
use tokio::sync::{mpsc, oneshot};

use crate::jobs::{Jobs, Next};
use crate::log::Log;
use crate::place::Place;
use crate::{Commit, Error, Options};

/// Transactions that may share one commit.
const BATCH_MAX: usize = 256;
/// Transactions that may wait; then the callers wait.
const WAITING_MAX: usize = 4_096;

type Value = Box<dyn Any + Send>;
type Then = Box<dyn FnOnce() + Send>;
type Outcome = Result<Value, Error>;
type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Done> + Send>;

struct Job {
    work: Work,
    reply: oneshot::Sender<Outcome>,
}

/// What a job did, and what is to be done when that is durable.
struct Done {
    value: Value,
    then: Option<Then>,
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
    pub(crate) fn start(
        connection: Connection,
        options: Options,
        place: Arc<Place>,
    ) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        thread::Builder::new().name("db-write".to_owned()).spawn(move || {
            write_all(&connection, waiting, options, &counted, &place);
            // Given up after the connection.
            drop(connection);
            drop(place);
        })?;
        Ok(Self { jobs, counters })
    }

    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let done = |value| Done { value: Box::new(value), then: None };
        self.submit(Box::new(move |connection| job(connection).map(done))).await
    }

    pub(crate) async fn run_then<T, F, A>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<(T, A)> + Send + 'static,
        A: FnOnce() + Send + 'static,
    {
        let done = |(value, then)| Done { value: Box::new(value), then: Some(Box::new(then)) };
        self.submit(Box::new(move |connection| job(connection).map(done))).await
    }

    async fn submit<T: 'static>(&self, work: Work) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
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
    waiting: mpsc::Receiver<Job>,
    options: Options,
    counters: &Counters,
    place: &Place,
) {
    let most = match options.commit {
        Commit::Group => BATCH_MAX,
        Commit::Each => 1,
    };
    let (mut jobs, mut log) = (Jobs::new(waiting), Log::new(options.forget_after));
    let mut batch = Vec::with_capacity(most);
    loop {
        match jobs.next(log.due()) {
            Next::Job(first) => {
                batch.push(first);
                jobs.fill(&mut batch, most);
                write_batch(connection, &mut batch, counters, place);
                log.written();
            }
            Next::Due => {}
            Next::Closed => return,
        }
        log.empty_if_due(connection);
    }
}

/// Runs a batch, counts it if it is committed and not lost, and only then answers its callers.
fn write_batch(connection: &Connection, batch: &mut Vec<Job>, counters: &Counters, place: &Place) {
    if let Err(error) = execute(connection, "begin immediate") {
        refuse(batch.drain(..).map(|job| job.reply), || copy(&error));
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
    crash_point::reach(crash_point::MID_COMMIT);
    let ended = ended.and_then(|()| execute(connection, "commit"));
    if let Err(error) = ended {
        // What was not committed is undone, so that the next batch begins clean. SQLite may have
        // done that already.
        let _ = execute(connection, "rollback");
        let replies = done.into_iter().map(|(_, reply)| reply);
        refuse(replies.chain(jobs.map(|job| job.reply)), || copy(&error));
        return;
    }
    if let Some(path) = place.gone() {
        refuse(done.into_iter().map(|(_, reply)| reply), || Error::Gone(path.clone()));
        return;
    }
    counters.commits.fetch_add(1, Ordering::Relaxed);
    counters.transactions.fetch_add(done.len() as u64, Ordering::Relaxed);
    for (outcome, reply) in done {
        let outcome = outcome.map(|Done { value, then }| {
            if let Some(then) = then {
                then();
            }
            value
        });
        // A caller that has gone away wants no answer.
        let _ = reply.send(outcome);
    }
}

/// Runs a statement without parameters, parsed once for the life of the connection.
fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// The job's outcome; an outer error if the whole transaction cannot go on, because the job could
/// not be undone alone. A full disk is such a case: SQLite then rolls back everything itself, and
/// whatever ran next would commit on its own.
fn in_savepoint(connection: &Connection, work: Work) -> rusqlite::Result<Result<Done, Error>> {
    execute(connection, "savepoint job")?;
    let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)));
    if connection.is_autocommit() {
        let why = outcome.ok().and_then(Result::err);
        return Err(why.unwrap_or_else(|| {
            failure(SQLITE_MISUSE, "a job ended the shared transaction".to_owned())
        }));
    }
    if !matches!(outcome, Ok(Ok(_))) {
        execute(connection, "rollback to job")?;
    }
    execute(connection, "release job")?;
    Ok(match outcome {
        Ok(result) => result.map_err(Error::Sqlite),
        Err(_panic) => Err(Error::Closed),
    })
}

/// Tells every caller why.
fn refuse(replies: impl Iterator<Item = oneshot::Sender<Outcome>>, why: impl Fn() -> Error) {
    for reply in replies {
        // A caller that has gone away wants no answer.
        let _ = reply.send(Err(why()));
    }
}

/// `rusqlite::Error` cannot be cloned, so its code and text are.
fn copy(error: &rusqlite::Error) -> Error {
    let code = error.sqlite_error().map_or(SQLITE_ERROR, |e| e.extended_code);
    Error::Sqlite(failure(code, error.to_string()))
}

fn failure(extended_code: i32, text: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(extended_code), Some(text))
}

//! A SQLite database whose waiting writers share one fsync.
//!
//! One thread owns the writing connection. It takes every transaction that is waiting, runs each
//! in a savepoint of its own, so that one failing does not fail its neighbours, and commits them
//! together: `synchronous=FULL` makes that one fsync for all. Readers have connections apart. What is
//! deleted is overwritten.
//! It knows neither shops nor queues: a job is a closure over a connection.

mod jobs;
mod location;
mod log;
mod open;
mod place;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use location::{Location, LocationError, Synchronous};
pub use rusqlite;
use rusqlite::Connection;

use place::Place;
use readers::Readers;
pub use writer::Stats;
use writer::Writer;

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused: the job's own statement, or the commit.
    #[error("sqlite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A pragma or version is not what durability needs.
    #[error("{path}: {what} is {found}, expected {expected}")]
    NotDurable {
        /// The database.
        path: PathBuf,
        /// The setting.
        what: &'static str,
        /// Its value.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The file is another process's, or cannot be opened.
    #[error(transparent)]
    File(#[from] own_file::Error),
    /// The file holds something else.
    #[error("{path} is no {expected}: {found}; name another file, or move this one away")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The file was removed, moved away or replaced: what is written now nobody would find again.
    #[error(
        "{0} is not there any more: it was removed, moved or replaced; start again to go on with what is there"
    )]
    Gone(PathBuf),
    /// A thread cannot be started.
    #[error("cannot start a database thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The database is closed, or the job panicked.
    #[error("the database is closed")]
    Closed,
}

/// How many transactions may share a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// All that are waiting, up to 256.
    Group,
    /// One each: for comparison only.
    Each,
}

/// What a database holds.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    /// What it is called, for people.
    pub name: &'static str,
    /// Written into the file, so that no other is taken for it (SQLite's `application_id`).
    pub application_id: i32,
    /// Batches of statements, run once each, counted by `user_version`.
    pub migrations: &'a [&'a str],
}

/// How to open a database.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How transactions share commits.
    pub commit: Commit,
    /// Connections for reading, each with its thread.
    pub readers: usize,
    /// Whether a commit reaches the disk before it is answered.
    pub synchronous: Synchronous,
    /// How long what is deleted may stay in SQLite's log; a second more while readers are at work.
    pub forget_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            commit: Commit::Group,
            readers: 1,
            synchronous: Synchronous::Full,
            forget_after: Duration::from_secs(10),
        }
    }
}

/// An open database: one writer, some readers.
pub struct Database {
    writer: Writer,
    readers: Readers,
}

impl Database {
    /// Opens or creates the file, for this process alone, and runs the migrations it has not seen.
    ///
    /// # Errors
    /// If the file cannot be opened, is in use, or holds something else; if a migration fails, or a
    /// pragma that durability needs does not read back as set.
    pub fn open(path: &Path, schema: Schema<'_>, options: Options) -> Result<Self, Error> {
        Self::open_with(path, schema, options, |_| Ok(())).map(|(database, ())| database)
    }

    /// As `open`; before anybody else uses it, `first` does, durably.
    ///
    /// # Errors
    /// As `open`, and that of `first`.
    pub fn open_with<T>(
        path: &Path,
        schema: Schema<'_>,
        options: Options,
        first: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Self, T), Error> {
        open::check(path)?;
        let place = Arc::new(Place::take(path)?);
        let connection = open::writing(path, schema, options.synchronous)?;
        let value = first(&connection)?;
        let writer = Writer::start(connection, options, Arc::clone(&place))?;
        let readers = Readers::start(path, options.readers.max(1), &place)?;
        Ok((Self { writer, readers }, value))
    }

    /// Runs a transaction and returns when it is durable, unless the options gave that up. An error rolls
    /// back this job alone; only after [`Error::Gone`] it may have had an effect.
    ///
    /// # Errors
    /// The job's own error, or the shared commit's.
    pub async fn write<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer.run(job).await
    }

    /// Runs a transaction that also returns what is to be done as soon as it is durable: the writing
    /// thread does it, even if the caller has gone away, and drops it undone if the transaction is
    /// rolled back. It must neither block nor panic.
    ///
    /// # Errors
    /// The job's own error, or the shared commit's.
    pub async fn write_then<T, F, A>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<(T, A)> + Send + 'static,
        A: FnOnce() + Send + 'static,
    {
        self.writer.run_then(job).await
    }

    /// Runs a query on a reading connection; it sees all that was durable before.
    ///
    /// # Errors
    /// The query's own error.
    pub async fn read<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.readers.run(job).await
    }

    /// Whether a transaction would be durable now, and a query answered: writes a page of the file as it
    /// is, and reads.
    ///
    /// # Errors
    /// That of the write or the read.
    pub async fn check(&self) -> Result<(), Error> {
        self.write(|connection| {
            let seen: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            connection.pragma_update(None, "user_version", seen)
        })
        .await?;
        let ask = "select count(*) from sqlite_schema";
        self.read(move |connection| connection.query_row(ask, [], |_| Ok(()))).await
    }

    /// Commits and transactions so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.writer.stats()
    }
}

//! Threads that read, each with its connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::place::Place;
use crate::{Error, open};

/// Queries that may wait; then the callers wait.
const WAITING_MAX: usize = 1_024;

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(crate) struct Readers {
    jobs: mpsc::Sender<Job>,
}

impl Readers {
    pub(crate) fn start(path: &Path, count: usize, place: &Arc<Place>) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel::<Job>(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..count {
            let connection = open::reading(path)?;
            let waiting = Arc::clone(&waiting);
            let next =
                move || waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
            let place = Arc::clone(place);
            thread::Builder::new().name(format!("db-read-{number}")).spawn(move || {
                while let Some(job) = next() {
                    job(&connection);
                }
                // Given up after the connection.
                drop(connection);
                drop(place);
            })?;
        }
        Ok(Self { jobs })
    }

    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A caller that has gone away wants no answer, and no work.
            if reply.is_closed() {
                return;
            }
            let _ = reply.send(catch_unwind(AssertUnwindSafe(|| job(connection))));
        });
        self.jobs.send(job).await.map_err(|_| Error::Closed)?;
        let outcome = answer.await.map_err(|_| Error::Closed)?;
        Ok(outcome.map_err(|_panic| Error::Closed)??)
    }
}

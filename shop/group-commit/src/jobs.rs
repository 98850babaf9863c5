//! Waiting for jobs on a thread of one's own, no longer than until an instant: Tokio's blocking receiver
//! knows no end.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

/// Jobs, waited for by the thread until an instant.
pub(crate) struct Jobs<T> {
    waiting: mpsc::Receiver<T>,
    waker: Waker,
}

/// What a wait ends with.
pub(crate) enum Next<T> {
    Job(T),
    Due,
    Closed,
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<T> Jobs<T> {
    pub(crate) fn new(waiting: mpsc::Receiver<T>) -> Self {
        Self { waiting, waker: Arc::new(Unpark(thread::current())).into() }
    }

    /// The next job, or that it is so late.
    pub(crate) fn next(&mut self, until: Option<Instant>) -> Next<T> {
        let mut context = Context::from_waker(&self.waker);
        loop {
            match self.waiting.poll_recv(&mut context) {
                Poll::Ready(Some(job)) => return Next::Job(job),
                Poll::Ready(None) => return Next::Closed,
                Poll::Pending => {}
            }
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => return Next::Due,
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// Takes what is waiting, up to so many in all.
    pub(crate) fn fill(&mut self, batch: &mut Vec<T>, most: usize) {
        while batch.len() < most
            && let Ok(job) = self.waiting.try_recv()
        {
            batch.push(job);
        }
    }
}

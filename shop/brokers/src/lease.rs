//! How long a delivery certainly belongs to its consumer, by the consumer's own clock. It knows no
//! broker.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How long after a lease began its consumer asks about it: a third, so that two heartbeats may be lost.
pub(crate) fn heartbeat(lease: Duration) -> Duration {
    lease / 3
}

/// A lease, or none: then a delivery belongs to its consumer for as long as that is there.
pub(crate) struct Lease {
    lasts: Option<Duration>,
    sure_until: Mutex<Option<Instant>>,
}

impl Lease {
    /// One that began at `since` at the earliest.
    pub(crate) fn new(lasts: Option<Duration>, since: Instant) -> Self {
        let lease = Self { lasts, sure_until: Mutex::default() };
        lease.renewed(since);
        lease
    }

    pub(crate) fn renewed(&self, at: Instant) {
        let sure = self.lasts.map(|lasts| at + lasts * 4 / 5);
        *self.sure_until.lock().unwrap_or_else(PoisonError::into_inner) = sure;
    }

    /// Four fifths of it, after which it is in doubt.
    pub(crate) fn sure_until(&self) -> Option<Instant> {
        *self.sure_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.sure_until().is_some_and(|until| Instant::now() >= until)
    }

    /// Waits for the next heartbeat, at most until the lease is in doubt; for ever without a lease.
    pub(crate) async fn beat(&self) {
        let (Some(lasts), Some(sure)) = (self.lasts, self.sure_until()) else {
            return std::future::pending().await;
        };
        sleep_until((Instant::now() + heartbeat(lasts)).min(sure)).await;
    }

    /// Works only while the lease is sure: none if it is not when the work could go on. A process
    /// that was stopped and wakes hears of its sockets before its timers tell it the time.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match self.is_in_doubt() {
            true => Poll::Ready(None),
            false => work.as_mut().poll(context).map(Some),
        })
        .await
    }
}

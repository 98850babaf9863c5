//! The instant at which the next backoff or lease ends. It knows no message.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::Micros;
use crate::clock::now_us;

const UNSET: Micros = Micros::MAX;

pub(crate) struct Alarm {
    due_us: AtomicI64,
    earlier: Notify,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { due_us: AtomicI64::new(UNSET), earlier: Notify::new() }
    }

    /// Rings at this instant, or before if it would anyway.
    pub(crate) fn arm(&self, due_us: Micros) {
        if self.due_us.fetch_min(due_us, Ordering::AcqRel) > due_us {
            self.earlier.notify_one();
        }
    }

    /// Waits for the instant, and forgets it.
    pub(crate) async fn ring(&self) {
        while let Some(span) = self.left() {
            tokio::select! {
                () = self.earlier.notified() => {}
                () = sleep(span) => {}
            }
        }
        self.due_us.store(UNSET, Ordering::Release);
    }

    fn left(&self) -> Option<Duration> {
        let left_us = self.due_us.load(Ordering::Acquire).saturating_sub(now_us());
        u64::try_from(left_us).ok().filter(|us| *us > 0).map(Duration::from_micros)
    }
}

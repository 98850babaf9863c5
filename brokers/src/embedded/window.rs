//! How many more deliveries a subscription may be sent: its prefetch, less what it holds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::{Delivery, Receipt};

/// What one subscription holds unsettled.
pub(super) struct Window {
    prefetch: u32,
    held: Mutex<HashMap<i64, Held>>,
    freed: Notify,
}

struct Held {
    attempt: u32,
    until: Instant,
}

impl Window {
    pub(super) fn new(prefetch: u32) -> Self {
        Self { prefetch, held: Mutex::default(), freed: Notify::new() }
    }

    /// Waits until something may be sent; returns how much. A delivery whose lease ended without a
    /// word frees its place: the consumer has forgotten it.
    pub(super) async fn room(&self) -> u32 {
        loop {
            match self.room_now() {
                Ok(room) => return room,
                Err(lease_end) => tokio::select! {
                    () = self.freed.notified() => {}
                    () = sleep_until(lease_end) => {}
                },
            }
        }
    }

    pub(super) fn hold(&self, deliveries: &[Delivery]) {
        let now = Instant::now();
        let mut held = self.held();
        for Delivery { receipt, lease, .. } in deliveries {
            held.insert(receipt.id, Held { attempt: receipt.attempt, until: now + *lease });
        }
    }

    /// The consumer settles this one, whatever comes of it.
    pub(super) fn settled(&self, receipt: Receipt) {
        let mut held = self.held();
        if held.get(&receipt.id).is_some_and(|held| held.attempt == receipt.attempt) {
            held.remove(&receipt.id);
            self.freed.notify_one();
        }
    }

    pub(super) fn extended(&self, receipt: Receipt, lease: Duration) {
        if let Some(held) = self.held().get_mut(&receipt.id)
            && held.attempt == receipt.attempt
        {
            held.until = Instant::now() + lease;
        }
    }

    /// All that is held, to be given back.
    pub(super) fn take(&self) -> Vec<Receipt> {
        self.held().drain().map(|(id, held)| Receipt { id, attempt: held.attempt }).collect()
    }

    /// How much may be sent, or when the first lease ends.
    fn room_now(&self) -> Result<u32, Instant> {
        let mut held = self.held();
        let room =
            |held: &HashMap<_, _>| self.prefetch as usize - held.len().min(self.prefetch as usize);
        if room(&held) == 0 {
            let now = Instant::now();
            held.retain(|_, held| held.until > now);
        }
        match room(&held) {
            0 => Err(held.values().map(|held| held.until).min().unwrap_or_else(Instant::now)),
            room => Ok(room as u32),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

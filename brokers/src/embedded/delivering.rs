//! One subscription on the server: claims what is ready, within its window, and sends it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use super::topics::Topic;
use super::window::Window;
use super::wire::Event;
use crate::Delivery;

/// Messages of one claim.
const CLAIM_MAX: u32 = 256;
const RETRY: Duration = Duration::from_secs(1);

/// A subscription of one connection.
pub(super) struct Delivering {
    pub(super) queue: Arc<Queue>,
    pub(super) topic: Arc<Topic>,
    pub(super) subscription: u64,
    pub(super) window: Arc<Window>,
    pub(super) outbound: mpsc::Sender<Vec<Event>>,
    pub(super) closed: CancellationToken,
}

impl Delivering {
    /// Delivers until closed, then gives back what is not settled. Never cancelled from outside:
    /// a claim that nobody waits for would be lost for a lease.
    pub(super) async fn run(self) {
        while let Some(room) = self.closed.run_until_cancelled(self.window.room()).await {
            if !self.deliver(room.min(CLAIM_MAX)).await {
                break;
            }
        }
        let held = self.window.take();
        if !held.is_empty()
            && let Err(error) = self.queue.release(held).await
        {
            eprintln!("broker: leases of a closed subscription stay until they end: {error}");
        }
        // Whoever wakes next finds what this one may have been woken for.
        self.topic.ready.notify_one();
    }

    /// Claims once and sends; waits for more if there is none. False when the connection is gone.
    async fn deliver(&self, most: u32) -> bool {
        let claimed = match self.queue.claim(&self.topic, most).await {
            Ok(claimed) => claimed,
            Err(error) => {
                eprintln!("broker: cannot claim from {}: {error}", self.topic.name);
                return self.closed.run_until_cancelled(sleep(RETRY)).await.is_some();
            }
        };
        let short = claimed.len() < most as usize;
        if !short {
            // More may be there than this one has room for.
            self.topic.ready.notify_one();
        }
        if !self.send(claimed).await {
            return false;
        }
        !short || self.closed.run_until_cancelled(self.topic.ready.notified()).await.is_some()
    }

    async fn send(&self, claimed: Vec<Delivery>) -> bool {
        if claimed.is_empty() {
            return true;
        }
        self.window.hold(&claimed);
        let subscription = self.subscription;
        let event = |delivery| Event::Delivery { subscription, delivery };
        let events = claimed.into_iter().map(event).collect();
        // The writer may be stuck behind a consumer that does not read.
        let sent = self.closed.run_until_cancelled(self.outbound.send(events)).await;
        matches!(sent, Some(Ok(())))
    }
}

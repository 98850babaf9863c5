//! One subscription on the server: claims what is ready, within its window, and sends it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot::error::RecvError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::offers::Claimed;
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
        // What was published before this one came woke nobody.
        let mut more = true;
        while let Some(left) = self.turn(more).await {
            more = left;
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

    /// Waits until there is room and then, unless more is known to be ready, until something is;
    /// in this order, for who is woken must be able to claim. Sends it, and tells whether more may
    /// be ready. None when closed.
    async fn turn(&self, more: bool) -> Option<bool> {
        let room = self.closed.run_until_cancelled(self.window.room()).await?.min(CLAIM_MAX);
        if more { self.deliver(room).await } else { self.wait(room).await }
    }

    /// Offers to take what becomes ready, until it is claimed for this one or there is something
    /// left to claim.
    async fn wait(&self, room: u32) -> Option<bool> {
        let (number, mut claimed) = self.topic.offers.make(room);
        let woken = tokio::select! {
            biased;
            claimed = &mut claimed => return self.take(claimed).await,
            () = self.topic.ready.notified() => Some(true),
            () = self.closed.cancelled() => None,
        };
        if !self.topic.offers.withdraw(number) {
            // Somebody claims for this one right now. It must be held, even to be given back.
            self.take(claimed.await).await?;
        }
        woken
    }

    /// Sends what was claimed for this one. If that claim failed, the next is its own.
    async fn take(&self, claimed: Result<Claimed, RecvError>) -> Option<bool> {
        let Ok((claimed, more)) = claimed else { return Some(true) };
        self.send(claimed).await.then_some(more)
    }

    /// Claims once and sends; tells whether more is ready. None when the connection is gone.
    async fn deliver(&self, most: u32) -> Option<bool> {
        let (claimed, more) = match self.queue.claim(&self.topic, most).await {
            Ok(claimed) => claimed,
            Err(error) => {
                eprintln!("broker: cannot claim from {}: {error}", self.topic.name);
                return self.closed.run_until_cancelled(sleep(RETRY)).await.map(|()| true);
            }
        };
        if more {
            // For another one: this one may have no room for it.
            self.topic.ready.notify_one();
        }
        self.send(claimed).await.then_some(more)
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

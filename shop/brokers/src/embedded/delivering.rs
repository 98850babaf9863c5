//! One subscription on the server: claims what is ready, within its window, and sends it.

use process_log::tell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot::error::RecvError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::claiming::{Claimed, Left};
use super::queue::{Leaving, Queue};
use super::topics::Topic;
use super::wire::Event;
use crate::claim::Handed;
use crate::window::{Share, Window};

/// Messages of one claim.
const CLAIM_MAX: u32 = 256;
const RETRY: Duration = Duration::from_secs(1);

/// What a subscription and its connection share.
#[derive(Clone)]
pub(super) struct Taking {
    pub(super) window: Arc<Window>,
    leaving: Arc<OnceLock<Leaving>>,
    ended: CancellationToken,
}

impl Taking {
    pub(super) fn new(window: Window) -> Self {
        let (leaving, ended) = (Arc::default(), CancellationToken::new());
        Self { window: Arc::new(window), leaving, ended }
    }

    /// Nothing more is delivered, and what is held is given back.
    pub(super) fn ends(&self, how: Leaving) {
        // The first word holds.
        let _ = self.leaving.set(how);
        self.ended.cancel();
    }
}

/// A subscription of one connection.
pub(super) struct Delivering {
    pub(super) queue: Arc<Queue>,
    pub(super) topic: Arc<Topic>,
    pub(super) subscription: u64,
    pub(super) taking: Taking,
    pub(super) outbound: mpsc::Sender<Vec<Event>>,
}

impl Delivering {
    /// Delivers until ended, then gives back what is not settled. Never cancelled from outside: a
    /// claim that nobody waits for would be lost for a lease.
    pub(super) async fn run(self) {
        // What was published before this one came woke nobody.
        let mut left = Left::Some;
        while let Some(then) = self.turn(left).await {
            left = then;
        }
        // Whoever cannot be sent to is not there either.
        let how = self.taking.leaving.get().copied().unwrap_or(Leaving::Gone);
        let held = self.taking.window.take();
        if !held.is_empty()
            && let Err(error) = self.queue.release(held, how).await
        {
            tell("leases-not-given-back", || [("error", error.to_string().into())]);
        }
        // Whoever wakes next finds what this one may have been woken for.
        self.topic.ready.notify_one();
    }

    /// Waits until there is room and then, unless more is known to be ready, until something is;
    /// in this order, for who is woken must be able to claim. Sends it, and tells what may be left.
    /// None when ended.
    async fn turn(&self, left: Left) -> Option<Left> {
        let share = self.until_ended(self.taking.window.room()).await?.at_most(CLAIM_MAX);
        if left == Left::Some { self.deliver(share).await } else { self.wait(share, left).await }
    }

    /// Offers to take what becomes ready, until it is claimed for this one or there is something
    /// left to claim.
    async fn wait(&self, share: Share, left: Left) -> Option<Left> {
        let (number, mut claimed) = self.topic.offers.make(share);
        let apart = left == Left::Apart;
        let woken = tokio::select! {
            biased;
            claimed = &mut claimed => return self.take(claimed).await,
            () = self.topic.ready.notified() => Some(Left::Some),
            () = self.taking.window.eased(), if apart => Some(Left::Some),
            // A place that a lease kept is free when that has ended, and nobody says so.
            () = sleep(self.queue.settings().lease), if apart => Some(Left::Some),
            () = self.taking.ended.cancelled() => None,
        };
        if !self.topic.offers.withdraw(number) {
            // Somebody claims for this one right now. It must be held, even to be given back.
            self.take(claimed.await).await?;
        }
        woken
    }

    /// Sends what was claimed for this one. If that claim failed, the next is its own.
    async fn take(&self, claimed: Result<Claimed, RecvError>) -> Option<Left> {
        let Ok(claimed) = claimed else { return Some(Left::Some) };
        self.send(claimed).await
    }

    /// Claims once and sends; tells what is left. None when the connection is gone.
    async fn deliver(&self, share: Share) -> Option<Left> {
        let claimed = match self.queue.claim(&self.topic, share).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tell("cannot-claim", || {
                    [
                        ("topic", self.topic.name.as_str().into()),
                        ("error", error.to_string().into()),
                    ]
                });
                return self.until_ended(sleep(RETRY)).await.map(|()| Left::Some);
            }
        };
        if claimed.left == Left::Some {
            // For another one: this one may have no room for it.
            self.topic.ready.notify_one();
        }
        self.send(claimed).await
    }

    /// Sends what was claimed; tells what was left. None when the connection is gone.
    async fn send(&self, claimed: Claimed) -> Option<Left> {
        let Claimed { at_us, handed, left } = claimed;
        if handed.is_empty() {
            return Some(left);
        }
        let (subscription, lease) = (self.subscription, self.queue.settings().lease);
        handed.iter().for_each(|handed| self.taking.window.hold(handed, lease));
        let event = |Handed { delivery, .. }| Event::Delivery { subscription, at_us, delivery };
        let events = handed.into_iter().map(event).collect();
        // The writer may be stuck behind a consumer that does not read.
        let sent = self.until_ended(self.outbound.send(events)).await;
        matches!(sent, Some(Ok(()))).then_some(left)
    }

    async fn until_ended<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.taking.ended.run_until_cancelled(work).await
    }
}

//! What a subscription and its feeds share: the moves of a message from queue to queue. It knows which queue
//! means what, and no engine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::envelope::Envelope;
use super::pool::{Held, Origin, Pool};
use super::queues::Queues;
use crate::claim::{Claim, Handed};
use crate::clock::now_us;
use crate::engine::{Handle, Source, Taken};
use crate::port::micros;
use crate::window::Window;
use crate::{Delivery, Error, Micros, Receipt, Result, Settings, Settle, SubscribeOptions};

/// A year: nothing waits for longer.
const DELAY_MAX_US: Micros = 365 * 24 * 3_600 * 1_000_000;
/// No message is delivered twice under one number.
const FIRST: u32 = 1;

/// What a subscription and its feeds share.
pub(super) struct Shared {
    sources: [Box<dyn Source>; 2],
    queues: Arc<Queues>,
    pub(super) settings: Settings,
    pub(super) window: Window,
    pool: Mutex<Pool>,
    /// Tells this subscription from all others of this process.
    epoch: u64,
    pub(super) changed: Notify,
    pub(super) closing: CancellationToken,
}

impl Shared {
    pub(super) fn new(
        sources: [Box<dyn Source>; 2],
        queues: Arc<Queues>,
        settings: Settings,
        options: SubscribeOptions,
    ) -> Self {
        static EPOCHS: AtomicU64 = AtomicU64::new(1);
        Self {
            sources,
            queues,
            settings,
            window: Window::new(options.prefetch, options.retries()),
            pool: Mutex::new(Pool::new(options.prefetch)),
            epoch: EPOCHS.fetch_add(1, Ordering::Relaxed),
            changed: Notify::new(),
            closing: CancellationToken::new(),
        }
    }

    pub(super) fn source(&self, origin: Origin) -> &dyn Source {
        match origin {
            Origin::Fresh => &*self.sources[0],
            Origin::Again => &*self.sources[1],
        }
    }

    pub(super) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A delivery, or when to look again if nothing changes before.
    pub(super) fn hand_out(&self) -> std::result::Result<Delivery, Option<Instant>> {
        let mut share = self.window.share().map_err(Some)?;
        let (number, held) = self.pool().hand_out(&mut share, Instant::now()).ok_or(None)?;
        let claim = Claim { id: number, number: FIRST };
        let redelivered = (held.origin == Origin::Again).then(|| held.envelope.failures());
        let delivery = Delivery {
            receipt: claim.receipt(self.epoch),
            message: held.envelope.message.clone(),
            attempt: Some(held.envelope.failures() + 1),
            redelivered: redelivered.is_some(),
            published_us: held.envelope.published_us,
            lease: Some(self.settings.lease),
            since: Instant::now(),
        };
        let handed = Handed { claim, delivery, redelivered };
        self.window.hold(&handed, self.settings.lease);
        Ok(handed.delivery)
    }

    /// A receipt's delivery, if it is still ours.
    pub(super) fn held(&self, receipt: &Receipt) -> Result<(Claim, Arc<Held>)> {
        let claim = Claim::of(receipt, self.epoch).ok_or(Error::Fenced)?;
        let held = self.pool().handed(claim.id).ok_or(Error::Fenced)?;
        Ok((claim, held))
    }

    /// It is settled, or lost.
    pub(super) fn ended(&self, claim: Claim) {
        self.pool().ended(claim.id);
        self.window.settled(claim);
        self.changed.notify_waiters();
    }

    pub(super) async fn settle(&self, held: &Held, how: Settle) -> Result<()> {
        let Held { origin, handle, envelope } = held;
        let now = now_us();
        match how {
            Settle::Ack => self.source(*origin).forget(handle).await,
            Settle::Defer(delay) => {
                let due_us = now + micros(delay).min(DELAY_MAX_US);
                self.comes_again(*origin, handle, envelope.clone().due(due_us)).await
            }
            Settle::Fail(text) => {
                let failed = envelope.clone().failed(&text, now);
                let delay = self.settings.backoff.delay(failed.failures());
                self.failed(*origin, handle, failed, delay).await
            }
            Settle::Reject(text) => {
                self.dies(*origin, handle, envelope.clone().failed(&text, now)).await
            }
        }
    }

    /// What a feed took waits to be handed out; what another consumer had in work is counted first.
    pub(super) async fn arrived(&self, origin: Origin, taken: Taken, asked: Instant) {
        let (now, until) = (now_us(), asked + self.settings.lease);
        let envelope = Envelope::decode(taken.body, now);
        let heard_us = taken.silent.map(|silent| now - micros(silent));
        if heard_us.is_some_and(|heard_us| heard_us >= envelope.due_us) {
            // If it is not counted now, it comes again and is.
            let _ = self.lost(origin, &taken.handle, envelope).await;
            return;
        }
        self.pool().add(Held { origin, handle: taken.handle, envelope }, until, now);
        self.changed.notify_waiters();
    }

    /// Gives everything back, uncounted.
    pub(super) async fn give_back(&self, held: Held) {
        let Held { origin, handle, envelope } = held;
        let due_us = envelope.due_us.max(now_us());
        // If this is lost, the lease ends.
        let _ = self.comes_again(origin, &handle, envelope.due(due_us)).await;
    }

    /// Lets others have what nobody was handed.
    pub(super) async fn let_go(&self, held: Held) {
        let Held { origin, handle, envelope } = held;
        if let Ok(body) = envelope.encode() {
            // If this is lost, the lease ends.
            let _ = self.source(origin).forward(&handle, &self.queues.fresh, body).await;
        }
    }

    /// Its consumer went away or forgot it: at once again after a first failure; then the backoff parts it
    /// from others.
    async fn lost(&self, origin: Origin, handle: &Handle, envelope: Envelope) -> Result<()> {
        let failed = envelope.failed("the lease ended", now_us());
        let delay = match failed.failures() {
            1 => Duration::ZERO,
            more => self.settings.backoff.delay(more),
        };
        self.failed(origin, handle, failed, delay).await
    }

    async fn failed(
        &self,
        origin: Origin,
        handle: &Handle,
        envelope: Envelope,
        delay: Duration,
    ) -> Result<()> {
        if envelope.failures() >= self.settings.attempts_max {
            return self.dies(origin, handle, envelope).await;
        }
        self.comes_again(origin, handle, envelope.due(now_us() + micros(delay))).await
    }

    async fn comes_again(&self, origin: Origin, handle: &Handle, envelope: Envelope) -> Result<()> {
        self.source(origin).forward(handle, &self.queues.again, envelope.encode()?).await
    }

    async fn dies(&self, origin: Origin, handle: &Handle, envelope: Envelope) -> Result<()> {
        let letter = envelope.due(now_us()).encode()?;
        self.source(origin).forward(handle, &self.queues.dead, letter).await
    }
}

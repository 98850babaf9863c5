//! One subscription on the client: what arrived and waits to be handed out.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout_at};

use super::calls::Calls;
use super::exchange::Arrived;
use super::wire::Call;
use crate::port::error_text;
use crate::{Delivery, Error, Receipt, Result, Settle, Subscription};

struct Arrivals {
    arriving: mpsc::Receiver<Arrived>,
    /// Came before a break, or has waited long, and is being asked about: kept here in case `next` is cancelled.
    doubtful: Option<Arrived>,
}

pub(super) struct Consumer {
    calls: Arc<Calls>,
    subscription: u64,
    arrivals: Mutex<Arrivals>,
}

impl Consumer {
    pub(super) fn new(
        calls: Arc<Calls>,
        subscription: u64,
        arriving: mpsc::Receiver<Arrived>,
    ) -> Self {
        let arrivals = Mutex::new(Arrivals { arriving, doubtful: None });
        Self { calls, subscription, arrivals }
    }

    /// Asks whether a delivery is still ours, by extending its lease; returns since when that lasts.
    async fn ours_since(&self, receipt: &Receipt, until: Option<Instant>) -> Option<Instant> {
        let asking = async {
            loop {
                self.calls.exchange.connected().await;
                let asked = Instant::now();
                match self.extend(receipt).await {
                    Err(Error::Unavailable(_)) => {}
                    answer => return answer.is_ok().then_some(asked),
                }
            }
        };
        match until {
            Some(until) => timeout_at(until, asking).await.ok().flatten(),
            None => asking.await,
        }
    }
}

#[async_trait]
impl Subscription for Consumer {
    async fn next(&self) -> Result<Delivery> {
        // Callers that wait at once are served in turn.
        let mut arrivals = self.arrivals.lock().await;
        loop {
            if let Some(Arrived { until, delivery, .. }) = &arrivals.doubtful {
                let since = self.ours_since(&delivery.receipt, *until).await;
                let taken = arrivals.doubtful.take().zip(since);
                let Some((Arrived { delivery, .. }, since)) = taken else { continue };
                return Ok(Delivery { since, ..delivery });
            }
            let Some(arrived) = arrivals.arriving.recv().await else {
                return Err(Error::Unavailable("the broker refused to resubscribe".to_owned()));
            };
            if arrived.until.is_some_and(|until| Instant::now() >= until) {
                continue;
            }
            if arrived.session == self.calls.exchange.session() && !arrived.delivery.is_stale() {
                return Ok(arrived.delivery);
            }
            arrivals.doubtful = Some(arrived);
        }
    }

    async fn settle(&self, receipt: &Receipt, how: Settle) -> Result<()> {
        let (subscription, receipt) = (self.subscription, receipt.clone());
        let how = match how {
            Settle::Fail(text) => Settle::Fail(error_text(&text).to_owned()),
            Settle::Reject(text) => Settle::Reject(error_text(&text).to_owned()),
            short @ (Settle::Ack | Settle::Defer(_)) => short,
        };
        self.calls.ask(Call::Settle { subscription, receipt, how }).await.map(drop)
    }

    async fn extend(&self, receipt: &Receipt) -> Result<()> {
        let (subscription, receipt) = (self.subscription, receipt.clone());
        self.calls.ask(Call::Extend { subscription, receipt }).await.map(drop)
    }

    async fn limit_retries(&self, places: u32) -> Result<()> {
        let subscription = self.subscription;
        self.calls.exchange.limit_retries(subscription, places);
        self.calls.ask(Call::LimitRetries { subscription, places }).await.map(drop)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.calls.exchange.unregister(self.subscription);
        // If this is lost, the first delivery that nobody expects says it again.
        self.calls.tell(Call::Unsubscribe { subscription: self.subscription });
    }
}

//! The negative controls: services with one mistake each, which the audit must find. They are chosen by
//! flags, and belong to no other system.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brokers::{Backoff, Error, Handled, Inbox, Received, Settle, SubscribeOptions, Topic, Trouble};
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shop::{Charge, Courier, OrderStore, PaymentStore, Result, Settlement, keep_reconciling};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use web::timing;

/// The wait before what could not be done now is tried again.
const AGAIN: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// Mistakes that may be asked for.
#[derive(Args)]
pub(crate) struct Mistakes {
    /// Negative control with `early`: a message is acked before its work is done
    #[arg(long, value_enum, default_value_t = Ack::Late, conflicts_with = "fence")]
    ack: Ack,
    /// Negative control with `off`: leases are neither extended nor heeded
    #[arg(long, value_enum, default_value_t = Switch::On)]
    fence: Switch,
    /// Negative control with `off`: what was charged before is charged again
    #[arg(long, value_enum, default_value_t = Switch::On)]
    idempotency: Switch,
}

/// How far orders trusts the queue.
#[derive(Args)]
pub(crate) struct Trust {
    /// Negative control with `off`: what nobody carries any more stays pending
    #[arg(long, value_enum, default_value_t = Switch::On)]
    reconcile: Switch,
}

impl Trust {
    /// Hands over again what is pending and was lost on its way, unless the queue is trusted.
    pub(crate) fn reconcile(&self, orders: Arc<dyn OrderStore>, courier: Arc<dyn Courier>) {
        if let Switch::On = self.reconcile {
            let (age, every) = (timing::RECOVERY_AGE, timing::RECOVERY_EVERY);
            let tell = |error: &shop::Error| {
                process_log::tell("reconciliation-failed", || {
                    [("error", error.to_string().into())]
                });
            };
            tokio::spawn(keep_reconciling(orders, courier, age, every, tell));
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Ack {
    Early,
    Late,
}

#[derive(Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// How messages are consumed.
#[derive(Clone, Copy)]
pub(crate) enum Manners {
    /// Acked after the work, under a lease that is kept.
    Good,
    /// Acked before the work.
    AckEarly,
    /// Acked after the work, whoever holds the lease by then.
    NoFence,
}

impl Mistakes {
    pub(crate) fn manners(&self) -> Manners {
        match (self.ack, self.fence) {
            (Ack::Early, _) => Manners::AckEarly,
            (Ack::Late, Switch::Off) => Manners::NoFence,
            (Ack::Late, Switch::On) => Manners::Good,
        }
    }

    /// The store, or one that forgets.
    pub(crate) fn memory(&self, store: Arc<dyn PaymentStore>) -> Arc<dyn PaymentStore> {
        match self.idempotency {
            Switch::On => store,
            Switch::Off => Arc::new(Forgetful(store)),
        }
    }
}

/// Finds nothing that was recorded.
struct Forgetful(Arc<dyn PaymentStore>);

#[async_trait]
impl PaymentStore for Forgetful {
    async fn find(&self, _: &str) -> Result<Option<Settlement>> {
        Ok(None)
    }

    async fn record(&self, settlement: Settlement) -> Result<Settlement> {
        self.0.record(settlement).await
    }
}

/// As `Topic::consume`, without its care.
pub(crate) async fn consume<H, F>(
    manners: Manners,
    topic: &Topic<Charge>,
    options: SubscribeOptions,
    stop: &CancellationToken,
    handle: H,
) -> std::result::Result<(), Error>
where
    H: Fn(Received<Charge>) -> F,
    F: Future<Output = Handled>,
{
    let inbox = topic.subscribe(options).await?;
    let mut working = FuturesUnordered::new();
    loop {
        let room = working.len() < options.prefetch as usize;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(()) = working.next() => {}
            next = inbox.next(), if room => working.push(work(manners, &inbox, next?, stop, &handle)),
        }
    }
    while working.next().await.is_some() {}
    Ok(())
}

async fn work<H, F>(
    manners: Manners,
    inbox: &Inbox<Charge>,
    received: Received<Charge>,
    stop: &CancellationToken,
    handle: &H,
) where
    H: Fn(Received<Charge>) -> F,
    F: Future<Output = Handled>,
{
    let receipt = received.receipt.clone();
    if matches!(manners, Manners::AckEarly) {
        // The mistake: from here on nobody else remembers the message.
        let _ = inbox.settle(&receipt, Settle::Ack).await;
    }
    let mut refusals = 0;
    let how = loop {
        match handle(received.clone()).await {
            Ok(()) => break Settle::Ack,
            Err(Trouble::Failed(text)) => break Settle::Fail(text),
            Err(Trouble::Never(text)) => break Settle::Reject(text),
            // Waited for with the message in hand, however long its lease.
            Err(Trouble::NotNow(_)) => refusals += 1,
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break Settle::Defer(Duration::ZERO),
            () = sleep(AGAIN.delay(refusals)) => {}
        }
    };
    // Fenced if the lease went to another meanwhile; then the work was done twice.
    let _ = inbox.settle(&receipt, how).await;
}

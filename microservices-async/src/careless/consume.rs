//! Consuming without the care of `Topic::consume`.

use std::time::Duration;

use brokers::{Backoff, Error, Handled, Inbox, Received, Settle, SubscribeOptions, Topic, Trouble};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shop::Charge;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The wait before what could not be done now is tried again.
const AGAIN: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// How messages are consumed.
#[derive(Clone, Copy)]
pub(crate) enum ConsumeMode {
    /// Acked after the work, under a lease that is kept.
    AckLate,
    /// Acked before the work.
    AckEarly,
    /// Acked after the work, whoever holds the lease by then.
    NoFence,
}

/// As `Topic::consume`, without its care.
pub(crate) async fn consume<H, F>(
    mode: ConsumeMode,
    topic: &Topic<Charge>,
    options: SubscribeOptions,
    stop: &CancellationToken,
    handle: H,
) -> Result<(), Error>
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
            next = inbox.next(), if room => working.push(work(mode, &inbox, next?, stop, &handle)),
        }
    }
    while working.next().await.is_some() {}
    Ok(())
}

async fn work<H, F>(
    mode: ConsumeMode,
    inbox: &Inbox<Charge>,
    received: Received<Charge>,
    stop: &CancellationToken,
    handle: &H,
) where
    H: Fn(Received<Charge>) -> F,
    F: Future<Output = Handled>,
{
    let receipt = received.receipt.clone();
    if matches!(mode, ConsumeMode::AckEarly) {
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

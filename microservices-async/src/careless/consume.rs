//! Consuming without the care of `Topic::consume`.

use std::time::Duration;

use brokers::{Backoff, Error, Handled, Inbox, Received, Settle, SubscribeOptions, Topic, Trouble};
use clap::ValueEnum;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_server::Settings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The wait before what could not be done now is tried again.
const AGAIN: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// How messages are consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConsumeMode {
    /// Acked after the work, under a lease that is kept; what cannot be done now comes again later, uncounted
    Kept,
    /// Acked after the work, whoever holds the lease by then; what was not done, for whatever reason, is given back at
    /// once, and counted
    Late,
    /// Acked when received; what was not done is forgotten
    Early,
    /// Acked after the work, whoever holds the lease by then; what cannot be done now is waited for in hand.
    #[value(skip)]
    NoFence,
}

impl ConsumeMode {
    /// What a process says of it: nothing of what all do.
    pub(crate) fn settings(self, name: &'static str) -> Settings {
        let same = Settings::default();
        match self {
            Self::Kept | Self::NoFence => same,
            Self::Late => same.with(name, "acked after the work; not done: given back at once"),
            Self::Early => same.with(name, "acked when received; not done: forgotten"),
        }
    }
}

/// As `Topic::consume`, without its care.
pub(crate) async fn consume<M, H, F>(
    mode: ConsumeMode,
    topic: &Topic<M>,
    options: SubscribeOptions,
    stop: &CancellationToken,
    handle: H,
) -> Result<(), Error>
where
    M: Serialize + DeserializeOwned + Clone + Send,
    H: Fn(Received<M>) -> F,
    F: Future<Output = Handled>,
{
    let inbox = tokio::select! {
        inbox = topic.subscribe(options) => inbox?,
        () = stop.cancelled() => return Ok(()),
    };
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

async fn work<M, H, F>(
    mode: ConsumeMode,
    inbox: &Inbox<M>,
    received: Received<M>,
    stop: &CancellationToken,
    handle: &H,
) where
    M: DeserializeOwned + Clone,
    H: Fn(Received<M>) -> F,
    F: Future<Output = Handled>,
{
    let receipt = received.receipt.clone();
    if mode == ConsumeMode::Early {
        // The mistake: from here on nobody else remembers the message.
        let _ = inbox.settle(&receipt, Settle::Ack).await;
        if let Err(Trouble::NotNow(why) | Trouble::Failed(why) | Trouble::Never(why)) =
            handle(received).await
        {
            process_log::tell("message-lost", || [("error", why.into())]);
        }
        return;
    }
    let mut refusals = 0;
    let how = loop {
        match handle(received.clone()).await {
            Ok(()) => break Settle::Ack,
            Err(Trouble::Never(text)) => break Settle::Reject(text),
            // Waited for with the message in hand, however long its lease.
            Err(Trouble::NotNow(_)) if mode == ConsumeMode::NoFence => refusals += 1,
            Err(Trouble::NotNow(text) | Trouble::Failed(text)) => break Settle::Fail(text),
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

#[cfg(test)]
mod tests;

//! The handling of one delivery: work under a lease that is kept, then the settlement that its
//! outcome asks for. It knows what a trouble means for the queue, not what the work is.

use process_log::tell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

use crate::breaker::{Breaker, Means, PROBES};
use crate::clock::now_us;
use crate::inbox::{Handled, Inbox, Received, Trouble};
use crate::lease::Lease;
use crate::port::Micros;
use crate::{Backoff, Error, Receipt, Settle, SubscribeOptions};

/// How fast a settlement that did not reach the broker is repeated.
const AGAIN: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };
/// How long it is repeated where no lease says it: what is not settled by then comes again.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// The shortest and the longest time until a message that was not done comes again.
const DEFER_MIN: Duration = Duration::from_millis(100);
const DEFER_MAX: Duration = Duration::from_secs(10);

/// What works on the deliveries of one subscription.
pub(crate) struct Worker<'a, M> {
    inbox: &'a Inbox<M>,
    topic: &'a str,
    retries: u32,
    breaker: Breaker,
}

impl<'a, M: DeserializeOwned> Worker<'a, M> {
    pub(crate) fn new(inbox: &'a Inbox<M>, topic: &'a str, options: SubscribeOptions) -> Self {
        Self { inbox, topic, retries: options.retries(), breaker: Breaker::default() }
    }

    pub(crate) async fn work<H, F>(&self, received: Received<M>, handle: &H)
    where
        H: Fn(Received<M>) -> F,
        F: Future<Output = Handled>,
    {
        let (receipt, lease) = (received.receipt.clone(), Lease::new(received.lease));
        let (redelivered, published_us) = (received.redelivered, received.published_us);
        let work = async {
            let outcome = unpanicked(handle(received)).await;
            let means = self.learn(&outcome);
            if let (Means::Still(pause), true) = (means, redelivered) {
                // During an outage a probe keeps its place, so that the next does not follow at once.
                sleep(pause).await;
            }
            (outcome, means)
        };
        let (outcome, means) = tokio::select! {
            () = self.keep(&receipt, &lease) => return,
            worked = lease.guard(work) => match worked {
                Some(worked) => worked,
                None => return,
            },
        };
        let done = outcome.is_ok();
        self.settle(&receipt, &lease, settlement(outcome, published_us)).await;
        if done {
            crash_point::reach(crash_point::ACKED);
        }
        if matches!(means, Means::Outage | Means::Over) {
            self.limit_retries().await;
        }
    }

    /// Takes an outcome for what it says of the others.
    fn learn(&self, outcome: &Handled) -> Means {
        let means = match outcome {
            Ok(()) => self.breaker.succeeded(),
            Err(Trouble::NotNow(_)) => self.breaker.troubled(Instant::now()),
            Err(Trouble::Failed(_) | Trouble::Never(_)) => Means::Nothing,
        };
        match (means, outcome) {
            (Means::Outage, Err(Trouble::NotNow(why))) => {
                // Few try until one succeeds.
                tell("no-work-succeeds", || {
                    [("topic", self.topic.into()), ("why", why.as_str().into())]
                });
            }
            (Means::Over, _) => tell("work-succeeds-again", || [("topic", self.topic.into())]),
            _ => {}
        }
        means
    }

    /// As the breaker stands now, whoever moved it.
    async fn limit_retries(&self) {
        let places = if self.breaker.is_open() { PROBES.min(self.retries) } else { self.retries };
        // A broker that cannot be reached delivers nothing; it hears of this when it can.
        let _ = self.inbox.subscription.limit_retries(places).await;
    }

    /// Extends the lease; returns when it is lost, or when four fifths of it have passed unheard.
    async fn keep(&self, receipt: &Receipt, lease: &Lease) {
        while !lease.is_in_doubt() {
            lease.beat().await;
            let asked = Instant::now();
            let Some(sure) = lease.sure_until() else { return };
            match timeout_at(sure, self.inbox.subscription.extend(receipt)).await {
                Ok(Ok(())) => lease.renewed(asked),
                Ok(Err(Error::Unavailable(_))) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// Settles, again and again while the broker does not hear it and the delivery is surely ours.
    async fn settle(&self, receipt: &Receipt, lease: &Lease, how: Settle) {
        let until = lease.sure_until().unwrap_or_else(|| Instant::now() + SETTLE_MAX);
        for attempt in 1.. {
            match self.inbox.settle(receipt, how.clone()).await {
                Err(Error::Unavailable(_)) if Instant::now() < until => {}
                // What is refused or lost comes again.
                _ => return,
            }
            sleep(AGAIN.delay(attempt)).await;
        }
    }
}

fn settlement(outcome: Handled, published_us: Micros) -> Settle {
    match outcome {
        Ok(()) => Settle::Ack,
        Err(Trouble::NotNow(_)) => Settle::Defer(deferral(now_us().saturating_sub(published_us))),
        Err(Trouble::Failed(text)) => Settle::Fail(text),
        Err(Trouble::Never(text)) => Settle::Reject(text),
    }
}

/// A quarter of the message's age, in bounds, and jittered: by this the waits grow exponentially,
/// although nobody counts.
fn deferral(age_us: Micros) -> Duration {
    let age = Duration::from_micros(u64::try_from(age_us).unwrap_or(0));
    let longest = (age / 4).clamp(DEFER_MIN, DEFER_MAX);
    rand::random_range(longest / 2..=longest)
}

/// A handler that panics has failed like one that returns an error: the others go on.
async fn unpanicked(handler: impl Future<Output = Handled>) -> Handled {
    let caught = AssertUnwindSafe(handler).catch_unwind().await;
    caught.unwrap_or_else(|_| Err(Trouble::Failed("the handler panicked".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(age_s: i64, from_ms: u64, to_ms: u64) {
        for _ in 0..100 {
            let wait = deferral(age_s * 1_000_000);
            let bounds = Duration::from_millis(from_ms)..=Duration::from_millis(to_ms);
            assert!(bounds.contains(&wait), "{wait:?} at {age_s} s");
        }
    }

    #[test]
    fn a_deferral_grows_with_the_age_of_the_message_and_has_bounds() {
        check(0, 50, 100);
        check(8, 1_000, 2_000);
        check(40, 5_000, 10_000);
        check(1_000_000, 5_000, 10_000);
        // A clock that was set back.
        check(-3_600, 50, 100);
    }
}

//! The handling of deliveries: work under leases that are kept, then the settlement that each one's
//! outcome asks for. It knows what a trouble means for the queue, not what the work is.

use process_log::tell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
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

/// What has to be known of a delivery while its message is worked on.
struct Held {
    receipt: Receipt,
    lease: Lease,
    redelivered: bool,
    published_us: Micros,
}

impl Held {
    fn of<M>(received: &Received<M>) -> Self {
        let Received { receipt, lease, since, redelivered, published_us, .. } = received;
        let (receipt, lease) = (receipt.clone(), Lease::new(*lease, *since));
        Self { receipt, lease, redelivered: *redelivered, published_us: *published_us }
    }
}

impl<'a, M: DeserializeOwned + Clone> Worker<'a, M> {
    pub(crate) fn new(inbox: &'a Inbox<M>, topic: &'a str, options: SubscribeOptions) -> Self {
        Self { inbox, topic, retries: options.retries(), breaker: Breaker::default() }
    }

    /// Works on these together; returns how many they were. Each keeps a lease, and has an outcome, of its own.
    /// If all leases are lost, the work is dropped where it stands.
    pub(crate) async fn work<H, F>(&self, mut batch: Vec<Received<M>>, handle: &H) -> usize
    where
        H: Fn(Vec<Received<M>>) -> F,
        F: Future<Output = Vec<Handled>>,
    {
        let count = batch.len();
        if let Some(received) = batch.pop_if(|_| count == 1) {
            self.attend(Held::of(&received), alone(received, handle)).await;
            return count;
        }
        let (told, heard): (Vec<_>, Vec<_>) = batch.iter().map(|_| oneshot::channel()).unzip();
        let each = batch.iter().map(Held::of).zip(heard).map(|(held, heard)| {
            let outcome = async { heard.await.unwrap_or_else(|_| no_outcome()) };
            self.attend(held, outcome)
        });
        let (each, work) = (join_all(each), together(batch, handle));
        let work = async {
            for (told, outcome) in told.into_iter().zip(work.await) {
                // Whose lease is lost does not listen any more.
                let _ = told.send(outcome);
            }
        };
        tokio::pin!(each);
        tokio::select! {
            biased;
            _ = &mut each => {}
            () = work => drop(each.await),
        }
        count
    }

    /// Keeps the lease until there is an outcome, then settles as it asks for.
    async fn attend(&self, held: Held, outcome: impl Future<Output = Handled>) {
        let Held { receipt, lease, redelivered, published_us } = held;
        let work = async {
            let outcome = outcome.await;
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

/// The outcome of one that is worked on by itself.
async fn alone<M, H, F>(received: Received<M>, handle: &H) -> Handled
where
    H: Fn(Vec<Received<M>>) -> F,
    F: Future<Output = Vec<Handled>>,
{
    unpanicked(vec![received], handle).await.pop().unwrap_or_else(no_outcome)
}

/// The outcomes of several. What fails by itself may fail by its neighbours, so it is worked on alone at once,
/// and that outcome counts: none is harmed by another.
async fn together<M: Clone, H, F>(batch: Vec<Received<M>>, handle: &H) -> Vec<Handled>
where
    H: Fn(Vec<Received<M>>) -> F,
    F: Future<Output = Vec<Handled>>,
{
    let mut outcomes = unpanicked(batch.clone(), handle).await;
    if outcomes.len() != batch.len() {
        // Nobody knows whose outcomes they are.
        outcomes = batch.iter().map(|_| no_outcome()).collect();
    }
    let own = batch.into_iter().zip(outcomes).map(async |(received, outcome)| match outcome {
        Err(Trouble::Failed(_)) => alone(received, handle).await,
        outcome => outcome,
    });
    join_all(own).await
}

fn no_outcome() -> Handled {
    Err(Trouble::Failed("the handler ended without an outcome".to_owned()))
}

/// A handler that panics has failed like one that returns an error: the others go on.
async fn unpanicked<M, H, F>(batch: Vec<Received<M>>, handle: &H) -> Vec<Handled>
where
    H: Fn(Vec<Received<M>>) -> F,
    F: Future<Output = Vec<Handled>>,
{
    let count = batch.len();
    // What the handler does before its future is polled may panic, too.
    let caught = AssertUnwindSafe(async { handle(batch).await }).catch_unwind().await;
    let panicked = || Err(Trouble::Failed("the handler panicked".to_owned()));
    caught.unwrap_or_else(|_| (0..count).map(|_| panicked()).collect())
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

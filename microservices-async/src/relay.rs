//! Hands charges from the outbox over to the broker: at least once, oldest first.

use std::sync::Arc;
use std::time::Duration;

use brokers::Backoff;
use shop::{Charge, Outbox};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::courier::BATCH;
use crate::way::Way;

/// How often the outbox is looked at when nobody wakes the relay.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a batch belongs to one relay of several: longer than a broker is waited for.
const CLAIMED_FOR: Duration = Duration::from_secs(10);
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// Runs for ever: publishes what the outbox holds, forgets what is durable, waits to be woken.
/// A charge whose publication is in doubt is published again; consumers are idempotent.
pub(crate) async fn run(outbox: Arc<dyn Outbox>, charges: Way, wake: Arc<Notify>) {
    let mut failures = 0;
    loop {
        match hand_over(&*outbox, &charges).await {
            Ok(Left::Some) => failures = 0,
            Ok(Left::Nothing) => {
                failures = 0;
                // A request that was cut off after its order was durable has woken nobody.
                let _ = timeout(LOOK_EVERY, wake.notified()).await;
            }
            Err(error) => {
                process_log::tell("relay-failed", || [("error", error.into())]);
                failures += 1;
                sleep(RETRY.delay(failures)).await;
            }
        }
    }
}

/// What a batch leaves in the outbox, as far as it saw. Whoever adds more wakes the relay.
enum Left {
    Nothing,
    Some,
}

/// An error if none of a batch was handed over.
async fn hand_over(outbox: &dyn Outbox, way: &Way) -> Result<Left, String> {
    let batch = outbox.claim(0, BATCH, CLAIMED_FOR).await.map_err(|error| error.to_string())?;
    if !batch.is_empty() {
        crash_point::reach(crash_point::BEFORE_PUBLISH);
    }
    let (rows, charges): (Vec<i64>, Vec<Charge>) = batch.into_iter().unzip();
    let published = way.publish(&charges).await;
    let (mut sent, mut kept, mut first) = (Vec::new(), Vec::new(), None);
    for (row, outcome) in rows.iter().zip(published) {
        match outcome {
            Ok(()) => sent.push(*row),
            Err(error) => {
                kept.push(*row);
                first = first.or(Some(error));
            }
        }
    }
    if !kept.is_empty() {
        // If this fails, they are free when their time is over.
        let _ = outbox.let_go(kept).await;
    }
    if let Some(error) = first.filter(|_| sent.is_empty()) {
        return Err(error.to_string());
    }
    let all = sent.len() == rows.len() && rows.len() < BATCH as usize;
    if !sent.is_empty() {
        outbox.sent(sent).await.map_err(|error| error.to_string())?;
    }
    Ok(if all { Left::Nothing } else { Left::Some })
}

//! Hands charges from the outbox over to the broker: at least once, oldest first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokers::{Backoff, Error, Topic};
use futures_util::future::join_all;
use shop::{Charge, Outbox};
use tokio::sync::Notify;
use tokio::time::sleep;

/// Charges published together: they share the broker's commits.
const BATCH: u32 = 256;
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// Runs for ever: publishes what the outbox holds, forgets what is durable, waits to be woken.
/// A charge whose publication is in doubt is published again; consumers are idempotent.
pub(crate) async fn run(outbox: Arc<dyn Outbox>, charges: Topic<Charge>, wake: Arc<Notify>) {
    let mut failures = 0;
    loop {
        match hand_over(&*outbox, &charges).await {
            Ok(0) => {
                failures = 0;
                wake.notified().await;
            }
            Ok(_) => failures = 0,
            Err(()) => {
                failures += 1;
                sleep(RETRY.delay(failures)).await;
            }
        }
    }
}

/// How many were handed over; an error if none of a batch was.
async fn hand_over(outbox: &dyn Outbox, charges: &Topic<Charge>) -> Result<usize, ()> {
    let batch = outbox.unsent(BATCH).await.map_err(drop)?;
    let published = join_all(batch.iter().map(|(row, charge)| async move {
        let result: Result<(), Error> = charges.publish(&charge.key, BTreeMap::new(), charge).await;
        result.ok().map(|()| *row)
    }))
    .await;
    let sent: Vec<i64> = published.into_iter().flatten().collect();
    if sent.is_empty() && !batch.is_empty() {
        return Err(());
    }
    let count = sent.len();
    if count > 0 {
        outbox.sent(sent).await.map_err(drop)?;
    }
    Ok(count)
}

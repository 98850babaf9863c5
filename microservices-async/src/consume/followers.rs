//! Events, of which followers are told.

use std::sync::Arc;

use brokers::{Received, Topic};
use shop::{Follower, Settled};
use tokio_util::sync::CancellationToken;

use super::{OPTIONS, values};
use crate::trouble::trouble;

/// Tells a follower of settlements, of up to `most` at once.
pub(crate) async fn settled(
    follower: Arc<dyn Follower>,
    events: Topic<Settled>,
    most: usize,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let handle = |batch: Vec<Received<Settled>>| {
        let follower = Arc::clone(&follower);
        async move {
            let told = follower.tell_all(&values(batch)).await;
            told.into_iter().map(|told| told.map_err(trouble)).collect()
        }
    };
    events.consume_batches(OPTIONS, most, stop.cancelled_owned(), handle).await
}

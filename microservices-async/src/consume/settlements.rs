//! Settlements, which orders heeds.

use std::sync::Arc;

use brokers::{Received, Topic};
use shop::{Orders, Settlement};
use tokio_util::sync::CancellationToken;

use super::{OPTIONS, values};
use crate::careless::{self, ConsumeMode};
use crate::trouble::trouble;

/// Settles orders, up to `most` in one commit; a settlement that comes again changes nothing.
pub(crate) async fn settlements(
    orders: Arc<dyn Orders>,
    settlements: Topic<Settlement>,
    most: usize,
    mode: ConsumeMode,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let handle = |batch: Vec<Received<Settlement>>| {
        let orders = Arc::clone(&orders);
        async move {
            let settled = orders.settle_all(values(batch)).await;
            settled.into_iter().map(|order| order.map(drop).map_err(trouble)).collect()
        }
    };
    match mode {
        ConsumeMode::Kept => {
            settlements.consume_batches(OPTIONS, most, stop.cancelled_owned(), handle).await
        }
        bad => {
            let one = |received: Received<Settlement>| {
                let orders = Arc::clone(&orders);
                async move { orders.settle(received.value).await.map(drop).map_err(trouble) }
            };
            careless::consume(bad, &settlements, OPTIONS, &stop, one).await
        }
    }
}

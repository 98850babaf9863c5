//! Both ends of the queue: payments consumes charges, orders consumes settlements.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokers::{Received, SubscribeOptions, Topic};
use shop::{Charge, Charged, Orders, Payments, Settlement};
use tokio_util::sync::CancellationToken;

/// Charges to be made, from orders to payments.
pub(crate) const CHARGES: &str = "charges";
/// What became of them, from payments to orders.
pub(crate) const SETTLEMENTS: &str = "settlements";
/// Charges (or settlements) that are in work at once; the bound that a synchronous chain does not
/// have, printed in the parity table.
pub(crate) const IN_WORK: u32 = 64;

/// Charges what is asked for and publishes the settlement before the charge is acked, so that a
/// crash in between repeats both.
pub(crate) async fn charges(
    payments: Arc<dyn Payments>,
    charges: Topic<Charge>,
    settlements: Topic<Settlement>,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let options = SubscribeOptions { prefetch: IN_WORK };
    let handle = |received: Received<Charge>| {
        let (payments, settlements) = (Arc::clone(&payments), settlements.clone());
        async move {
            let charged = payments.charge(received.value).await.map_err(|e| e.to_string())?;
            let Charged::Now(settlement) = charged else {
                return Err("the charge was not decided".to_owned());
            };
            let published = settlements.publish(&received.key, BTreeMap::new(), &settlement).await;
            published.map_err(|e| e.to_string())
        }
    };
    charges.consume(options, stop.cancelled_owned(), handle).await
}

/// Settles orders; a settlement that comes again changes nothing.
pub(crate) async fn settlements(
    orders: Arc<dyn Orders>,
    settlements: Topic<Settlement>,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let options = SubscribeOptions { prefetch: IN_WORK };
    let handle = |received: Received<Settlement>| {
        let orders = Arc::clone(&orders);
        async move { orders.settle(received.value).await.map(drop).map_err(|e| e.to_string()) }
    };
    settlements.consume(options, stop.cancelled_owned(), handle).await
}

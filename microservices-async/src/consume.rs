//! The ends of the queues: payments consumes charges, orders consumes settlements, followers consume events.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokers::{Received, SubscribeOptions, Topic, Trouble};
use http_server::Settings;
use service::bounds;
use shop::{Charge, Charged, Follower, Orders, Payments, Settled, Settlement, Stock, Wanted};
use tokio_util::sync::CancellationToken;

use crate::careless::{self, ConsumeMode};
use crate::trouble::trouble;

/// Charges (or settlements) that are in work at once, as many as in the other systems. Half of them may
/// have been delivered before, as a recovery takes half of them there.
const OPTIONS: SubscribeOptions = options(bounds::IN_WORK);

/// To have so many in work at once.
pub(crate) const fn options(at_once: u32) -> SubscribeOptions {
    SubscribeOptions { prefetch: at_once }
}

/// What a process says of how many it has in work at once: nothing if it is as many as elsewhere.
pub(crate) fn settings(at_once: u32) -> Settings {
    let same = Settings::default();
    if at_once == bounds::IN_WORK { same } else { same.with("charges in work at once", at_once) }
}

/// Charges what is asked for and publishes the settlement before the charge is acked, so that a
/// crash in between repeats both.
pub(crate) async fn charges(
    payments: Arc<dyn Payments>,
    charges: Topic<Charge>,
    settlements: Topic<Settlement>,
    mode: ConsumeMode,
    options: SubscribeOptions,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let handle = move |received: Received<Charge>| {
        let (payments, settlements) = (Arc::clone(&payments), settlements.clone());
        async move {
            let settlement = decide(&*payments, received.value).await?;
            settlements.publish(&received.key, BTreeMap::new(), &settlement).await?;
            crash_point::reach(crash_point::SETTLEMENT_PUBLISHED);
            Ok(())
        }
    };
    match mode {
        ConsumeMode::AckLate => charges.consume(options, stop.cancelled_owned(), handle).await,
        bad => careless::consume(bad, &charges, options, &stop, handle).await,
    }
}

async fn decide(payments: &dyn Payments, charge: Charge) -> Result<Settlement, Trouble> {
    match payments.charge(charge).await.map_err(trouble)? {
        Charged::Now(settlement) => Ok(settlement),
        Charged::Later => Err(Trouble::Failed("the charge was not decided".to_owned())),
    }
}

/// Settles orders; a settlement that comes again changes nothing.
pub(crate) async fn settlements(
    orders: Arc<dyn Orders>,
    settlements: Topic<Settlement>,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let handle = |received: Received<Settlement>| {
        let orders = Arc::clone(&orders);
        async move { orders.settle(received.value).await.map(drop).map_err(trouble) }
    };
    settlements.consume(OPTIONS, stop.cancelled_owned(), handle).await
}

/// Tells a follower of settlements.
pub(crate) async fn settled(
    follower: Arc<dyn Follower>,
    events: Topic<Settled>,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let handle = |received: Received<Settled>| {
        let follower = Arc::clone(&follower);
        async move { follower.tell(&received.value).await.map_err(trouble) }
    };
    events.consume(OPTIONS, stop.cancelled_owned(), handle).await
}

/// Reserves what orders need, and hands their charges over to payments before the message is acked.
pub(crate) async fn reservations(
    stock: Arc<dyn Stock>,
    wanted: Topic<Wanted>,
    charges: Topic<Charge>,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let handle = |received: Received<Wanted>| {
        let (stock, charges) = (Arc::clone(&stock), charges.clone());
        async move {
            let Wanted { charge, items } = received.value;
            stock.reserve(&charge.key, &items).await.map_err(trouble)?;
            charges.publish(&charge.key, BTreeMap::new(), &charge).await?;
            Ok(())
        }
    };
    wanted.consume(OPTIONS, stop.cancelled_owned(), handle).await
}

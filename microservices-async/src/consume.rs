//! Both ends of the queue: payments consumes charges, orders consumes settlements.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokers::{Broker, Received, SubscribeOptions, Topic, Trouble};
use service::bounds;
use shop::{Charge, Charged, Error, Orders, Payments, Settlement};
use tokio_util::sync::CancellationToken;

use crate::careless::{self, Manners};

/// Charges to be made, from orders to payments.
pub(crate) const CHARGES: &str = "charges";
/// What became of them, from payments to orders.
pub(crate) const SETTLEMENTS: &str = "settlements";
/// Charges (or settlements) that are in work at once, as many as in the other systems. Half of them may
/// have been delivered before, as a recovery takes half of them there.
const OPTIONS: SubscribeOptions = SubscribeOptions { prefetch: bounds::IN_WORK };

/// Whether the broker answers.
pub(crate) async fn reach(broker: Arc<dyn Broker>) -> Result<(), brokers::Error> {
    broker.depth(CHARGES).await.map(drop)
}

/// Charges what is asked for and publishes the settlement before the charge is acked, so that a
/// crash in between repeats both.
pub(crate) async fn charges(
    payments: Arc<dyn Payments>,
    charges: Topic<Charge>,
    settlements: Topic<Settlement>,
    manners: Manners,
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
    match manners {
        Manners::Good => charges.consume(OPTIONS, stop.cancelled_owned(), handle).await,
        bad => careless::consume(bad, &charges, OPTIONS, &stop, handle).await,
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

/// What an error of the shop says of its message: something is down or busy, the work itself failed,
/// or it never can be done.
fn trouble(error: Error) -> Trouble {
    let text = error.to_string();
    match error {
        Error::Busy(_) | Error::Unavailable(_) | Error::TimedOut(_) => Trouble::NotNow(text),
        Error::Internal(_) => Trouble::Failed(text),
        Error::Unauthenticated(_)
        | Error::EmailTaken
        | Error::NotFound
        | Error::KeyReused
        | Error::Invalid(_) => Trouble::Never(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: Error, expected: fn(String) -> Trouble) {
        let text = error.to_string();
        assert_eq!(trouble(error), expected(text));
    }

    #[test]
    fn what_is_down_or_busy_is_not_now_and_what_breaks_a_rule_is_never() {
        let text = || "x".to_owned();
        check(Error::Busy(text()), Trouble::NotNow);
        check(Error::Unavailable(text()), Trouble::NotNow);
        check(Error::TimedOut(text()), Trouble::NotNow);
        check(Error::Internal(text()), Trouble::Failed);
        check(Error::KeyReused, Trouble::Never);
        check(Error::NotFound, Trouble::Never);
    }
}

//! Both ends of the queue: payments consumes charges, orders consumes settlements.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokers::{Backoff, Received, SubscribeOptions, Topic};
use shop::{Charge, Charged, Error, Orders, Payments, Settlement};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::careless::{self, Manners};

/// Charges to be made, from orders to payments.
pub(crate) const CHARGES: &str = "charges";
/// What became of them, from payments to orders.
pub(crate) const SETTLEMENTS: &str = "settlements";
/// Charges (or settlements) that are in work at once; the bound that a synchronous chain does not
/// have, printed in the parity table.
pub(crate) const IN_WORK: u32 = 64;
/// The wait before a network that takes no more for now is asked again.
const WHEN_BUSY: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// Charges what is asked for and publishes the settlement before the charge is acked, so that a
/// crash in between repeats both.
pub(crate) async fn charges(
    payments: Arc<dyn Payments>,
    charges: Topic<Charge>,
    settlements: Topic<Settlement>,
    manners: Manners,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let options = SubscribeOptions { prefetch: IN_WORK };
    let stopping = stop.clone();
    let handle = move |received: Received<Charge>| {
        let (payments, settlements) = (Arc::clone(&payments), settlements.clone());
        let stopping = stopping.clone();
        async move {
            let settlement = decide(&*payments, received.value, &stopping).await?;
            let published = settlements.publish(&received.key, BTreeMap::new(), &settlement).await;
            published.map_err(|e| e.to_string())?;
            crash_point::reach(crash_point::SETTLEMENT_PUBLISHED);
            Ok(())
        }
    };
    match manners {
        Manners::Good => charges.consume(options, stop.cancelled_owned(), handle).await,
        bad => careless::consume(bad, &charges, options, &stop, handle).await,
    }
}

/// The charge's settlement. Refused for now, it is asked for again with the message in hand: that
/// uses no attempt up, and full hands claim no further message.
async fn decide(
    payments: &dyn Payments,
    charge: Charge,
    stop: &CancellationToken,
) -> Result<Settlement, String> {
    let mut refusals = 0;
    loop {
        let busy = match payments.charge(charge.clone()).await {
            Ok(Charged::Now(settlement)) => return Ok(settlement),
            Ok(Charged::Later) => return Err("the charge was not decided".to_owned()),
            Err(error @ Error::Busy(_)) => error.to_string(),
            Err(error) => return Err(error.to_string()),
        };
        refusals += 1;
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(busy),
            () = sleep(WHEN_BUSY.delay(refusals)) => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use shop::Verdict;
    use tokio::time::Instant;

    use super::*;

    /// Refuses so many charges.
    struct Refusing(AtomicU32);

    #[async_trait]
    impl Payments for Refusing {
        async fn charge(&self, charge: Charge) -> shop::Result<Charged> {
            if self.0.load(Ordering::Relaxed) > 0 {
                self.0.fetch_sub(1, Ordering::Relaxed);
                return Err(Error::Busy("later".to_owned()));
            }
            let Charge { key, amount_cents, .. } = charge;
            Ok(Charged::Now(Settlement { key, amount_cents, verdict: Verdict::Declined }))
        }
    }

    fn charge() -> Charge {
        Charge { key: "k".to_owned(), amount_cents: 100, card: "card".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_network_is_waited_for_with_the_message_in_hand() {
        let stop = CancellationToken::new();
        let payments = Refusing(AtomicU32::new(200));
        let settled = decide(&payments, charge(), &stop).await.unwrap();
        assert_eq!(settled.key, "k");
        stop.cancel();
        let payments = Refusing(AtomicU32::new(u32::MAX));
        let begun = Instant::now();
        assert_eq!(decide(&payments, charge(), &stop).await.unwrap_err(), "too busy: later");
        assert!(begun.elapsed() <= WHEN_BUSY.max, "a stop is not waited out");
    }
}

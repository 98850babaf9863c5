//! Charges, which payments makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokers::{Received, SubscribeOptions, Topic, Trouble};
use shop::{Charge, Charged, Payments, Settlement};
use tokio_util::sync::CancellationToken;

use crate::careless::{self, ConsumeMode};
use crate::trouble::trouble;

/// What is asked of payments.
#[derive(Clone, Copy)]
pub(crate) enum Wish {
    /// That a charge is made.
    Make,
    /// That it never is.
    Cancel,
}

/// Charges, or cancels, what is asked for, each alone (a batch would wait for the slowest answer of the card network, and
/// what is recorded at once shares a commit anyway), and publishes the settlement before the charge is acked, so that a
/// crash in between repeats both.
pub(crate) async fn charges(
    wish: Wish,
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
            let settlement = decide(wish, &*payments, received.value).await?;
            settlements.publish(&received.key, BTreeMap::new(), &settlement).await?;
            crash_point::reach(crash_point::SETTLEMENT_PUBLISHED);
            Ok(())
        }
    };
    match mode {
        ConsumeMode::Kept => charges.consume(options, stop.cancelled_owned(), handle).await,
        bad => careless::consume(bad, &charges, options, &stop, handle).await,
    }
}

async fn decide(
    wish: Wish,
    payments: &dyn Payments,
    charge: Charge,
) -> Result<Settlement, Trouble> {
    let decided = match wish {
        Wish::Make => payments.charge(charge).await,
        Wish::Cancel => payments.cancel(charge).await,
    };
    match decided.map_err(trouble)? {
        Charged::Now(settlement) => Ok(settlement),
        Charged::Later => Err(Trouble::Failed("the charge was not decided".to_owned())),
    }
}

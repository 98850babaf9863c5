//! The ends of the queues: payments consumes charges, orders consumes settlements, followers consume events.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokers::{Handled, Received, SubscribeOptions, Topic, Trouble};
use futures_util::future::join_all;
use http_server::Settings;
use service::bounds;
use shop::{
    Availability, Charge, Charged, Follower, Orders, Payments, Settled, Settlement, Stock, Wanted,
};
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

/// Charges what is asked for, each alone (a batch would wait for the slowest answer of the card network, and
/// what is recorded at once shares a commit anyway), and publishes the settlement before the charge is acked, so that a
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

/// Settles orders, up to `most` in one commit; a settlement that comes again changes nothing.
pub(crate) async fn settlements(
    orders: Arc<dyn Orders>,
    settlements: Topic<Settlement>,
    most: usize,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let handle = |batch: Vec<Received<Settlement>>| {
        let orders = Arc::clone(&orders);
        async move {
            let settled = orders.settle_all(values(batch)).await;
            settled.into_iter().map(|order| order.map(drop).map_err(trouble)).collect()
        }
    };
    settlements.consume_batches(OPTIONS, most, stop.cancelled_owned(), handle).await
}

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

/// Who reserves, and where an order's way goes on.
#[derive(Clone)]
pub(crate) struct Answered {
    pub(crate) stock: Arc<dyn Stock>,
    /// Of what is reserved.
    pub(crate) charges: Topic<Charge>,
    /// Of what is lacking.
    pub(crate) lacking: Topic<Settlement>,
}

impl Answered {
    /// Hands an order over: to payments if what it needs is reserved, and if not back, declined.
    async fn hand_on(&self, charge: Charge, answer: Availability) -> Handled {
        let (key, headers) = (charge.key.clone(), BTreeMap::new());
        let handed = match answer {
            Availability::Reserved => self.charges.publish(&key, headers, &charge).await,
            Availability::Lacking => {
                self.lacking.publish(&key, headers, &charge.out_of_stock()).await
            }
        };
        handed.map_err(Trouble::from)
    }

    async fn answer(&self, all: Vec<Wanted>) -> Vec<Handled> {
        let answers = self.stock.reserve_all(&all).await;
        let handed = all.into_iter().zip(answers).map(async |(wanted, answer)| {
            self.hand_on(wanted.charge, answer.map_err(trouble)?).await
        });
        join_all(handed).await
    }
}

/// Reserves what orders need, of up to `most` in one commit, and hands each over before its message is acked.
pub(crate) async fn reservations(
    answered: Answered,
    wanted: Topic<Wanted>,
    most: usize,
    stop: CancellationToken,
) -> Result<(), brokers::Error> {
    let handle = |batch: Vec<Received<Wanted>>| {
        let answered = answered.clone();
        async move { answered.answer(values(batch)).await }
    };
    wanted.consume_batches(OPTIONS, most, stop.cancelled_owned(), handle).await
}

fn values<M>(batch: Vec<Received<M>>) -> Vec<M> {
    batch.into_iter().map(|received| received.value).collect()
}

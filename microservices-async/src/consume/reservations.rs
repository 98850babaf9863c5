//! Orders on their way by the inventory, which reserves what they need.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokers::{Handled, Received, Topic, Trouble};
use futures_util::future::join_all;
use shop::{Availability, Charge, Settlement, Stock, Wanted};
use tokio_util::sync::CancellationToken;

use super::{OPTIONS, values};
use crate::trouble::trouble;

/// Who reserves, and where an order's way goes on.
#[derive(Clone)]
pub(crate) struct Answered {
    pub(crate) stock: Arc<dyn Stock>,
    /// Of what is reserved.
    pub(crate) charges: Topic<Charge>,
    /// Of what is reserved and taken back.
    pub(crate) cancellations: Topic<Charge>,
    /// Of what is lacking.
    pub(crate) lacking: Topic<Settlement>,
}

impl Answered {
    /// Hands an order over: to payments if what it needs is reserved, and if not back, declined.
    async fn hand_on(&self, wanted: Wanted, answer: Availability) -> Handled {
        let Wanted { charge, cancels, .. } = wanted;
        let (key, headers) = (charge.key.clone(), BTreeMap::new());
        let asked = if cancels { &self.cancellations } else { &self.charges };
        let handed = match answer {
            Availability::Reserved => asked.publish(&key, headers, &charge).await,
            Availability::Lacking => {
                self.lacking.publish(&key, headers, &charge.out_of_stock()).await
            }
        };
        handed.map_err(Trouble::from)
    }

    async fn answer(&self, all: Vec<Wanted>) -> Vec<Handled> {
        let answers = self.stock.reserve_all(&all).await;
        let handed = all
            .into_iter()
            .zip(answers)
            .map(async |(wanted, answer)| self.hand_on(wanted, answer.map_err(trouble)?).await);
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

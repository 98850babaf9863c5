//! How orders begin to be taken: what they are made of.

use std::sync::Arc;

use brokers::{Broker, Topic};
use service::{Queued, environment, fanout, settings};
use shop::OrderService;
use shop::auth::Tokens;
use stores::Stores;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::OrdersArgs;
use super::begun::Begun;
use crate::cancelling::Cancelling;
use crate::courier::Messages;
use crate::{broker, consume, relay};

impl OrdersArgs {
    /// Takes orders, hands charges over, settles.
    pub(crate) fn begin(self, stores: &Stores, broker: &Arc<dyn Broker>) -> anyhow::Result<Begun> {
        let Self { batch, outbox_max, trust, followers } = self;
        let told = settings::own_tokens().and(trust.settings(outbox_max)).and(batch.settings());
        let (fans, charges) = followers.behind(broker, stores)?;
        let following = fanout::followed_by(stores, fans)?;
        let told = told.and(fanout::told(following.as_ref()));
        let customers = Arc::new(Tokens::new(&environment::token_secret()?)?);
        let wake = Arc::new(Notify::new());
        let (placing, publishing) = (service::tasks(), service::tasks());
        let charging = trust
            .straight(&charges, &publishing)
            .unwrap_or_else(|| Arc::new(Queued::new(Arc::clone(&wake), outbox_max)));
        let payments = Arc::new(Cancelling { charging, way: charges.clone() });
        let operator = environment::operator_token();
        let kept = Arc::clone(&stores.orders);
        let tasks = Arc::clone(&placing);
        let orders = OrderService::new(customers, kept, payments, operator, tasks, following);
        let (orders, outbox) = (Arc::new(orders), Arc::clone(&stores.outbox));
        let (stop, settlements) =
            (CancellationToken::new(), Topic::new(Arc::clone(broker), broker::SETTLEMENTS));
        let relay = tokio::spawn(relay::run(Arc::clone(&outbox), charges.clone(), wake));
        let messages =
            Messages { outbox: Arc::clone(&outbox), charges, settlements: settlements.clone() };
        trust.reconcile(Arc::clone(&stores.orders), Arc::new(messages));
        let (settling, most, mode) = (Arc::clone(&orders) as _, batch.most(), trust.consume_mode());
        let settle = consume::settlements(settling, settlements, most, mode, stop.clone());
        let settle = tokio::spawn(settle);
        Ok(Begun { orders, outbox, told, placing, publishing, stop, relay, settle })
    }
}

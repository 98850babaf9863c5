//! Those who follow settlements, each behind a topic of its own: one that fails delays no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use brokers::{Broker, Topic};
use clap::Args;
use service::fanout::Fans;
use shop::{Error, Follower, Settled};
use stores::{OpenError, Stores};

use crate::way::Way;

/// Settlements, from orders to notifications.
pub(crate) const NOTICES: &str = "notices";
/// Settlements, from orders to the inventory.
pub(crate) const STOCK: &str = "stock";

/// Who is told of settlements.
#[derive(Args)]
pub(crate) struct FollowerArgs {
    /// Topics that every settlement is published to: notices, stock; none: nobody follows
    #[arg(long, value_name = "TOPIC,…", value_delimiter = ',')]
    followers: Vec<String>,
    /// Charges go by the inventory, which reserves what their orders need
    #[arg(long)]
    inventory: bool,
}

impl FollowerArgs {
    /// Who is told, and the way of charges.
    pub(crate) fn behind(
        self,
        broker: &Arc<dyn Broker>,
        stores: &Stores,
    ) -> Result<(Fans, Way), OpenError> {
        let topics = self.followers.into_iter().map(|name| Topic::new(Arc::clone(broker), name));
        let followers = topics.map(|topic| Arc::new(Behind(topic)) as _).collect();
        let events = self.inventory.then(|| stores.events()).transpose()?;
        Ok((Fans { followers, stock: None }, Way::new(broker, events)))
    }
}

/// Told when the message is in durable hands.
struct Behind(Topic<Settled>);

#[async_trait]
impl Follower for Behind {
    async fn tell(&self, settled: &Settled) -> shop::Result<()> {
        let published = self.0.publish(&settled.key, BTreeMap::new(), settled).await;
        published.map_err(|error| Error::Unavailable(error.to_string()))
    }
}

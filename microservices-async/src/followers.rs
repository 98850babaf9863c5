//! Those who follow settlements, each behind a topic of its own: one that fails delays no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use brokers::{Broker, Topic};
use clap::Args;
use service::fanout::Followers;
use shop::{Error, Follower, Result, Settled};

/// Settlements, from orders to notifications.
pub(crate) const NOTICES: &str = "notices";

/// Who is told of settlements.
#[derive(Args)]
pub(crate) struct FollowerArgs {
    /// Topics that every settlement is published to, such as notices; none: nobody follows
    #[arg(long, value_name = "TOPIC,…", value_delimiter = ',')]
    followers: Vec<String>,
}

impl FollowerArgs {
    pub(crate) fn behind(self, broker: &Arc<dyn Broker>) -> Followers {
        let topics = self.followers.into_iter().map(|name| Topic::new(Arc::clone(broker), name));
        topics.map(|topic| Arc::new(Behind(topic)) as _).collect()
    }
}

/// Told when the message is in durable hands.
struct Behind(Topic<Settled>);

#[async_trait]
impl Follower for Behind {
    async fn tell(&self, settled: &Settled) -> Result<()> {
        let published = self.0.publish(&settled.key, BTreeMap::new(), settled).await;
        published.map_err(|error| Error::Unavailable(error.to_string()))
    }
}

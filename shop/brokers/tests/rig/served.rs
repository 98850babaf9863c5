//! A server that others wrote, a client of it, and what is asked of each of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use brokers::{Adapter, Broker, Error, Settings, SubscribeOptions, Subscription};

use crate::server::{self, Server};
use crate::waiting::{TOPIC, message, next, within};

/// No caller waits for longer than this for an answer that does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How soon one that starts is asked again.
const POLL: Duration = Duration::from_millis(10);

/// Asks the server of this scheme for each promise.
macro_rules! promises {
    ($scheme:ident: $($promise:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            if let Some(rig) = crate::Rig::of(stringify!($scheme)) {
                crate::$promise(rig).await;
            }
        }
    )* };
}

/// A server that is not started yet, and a client of it.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) adapter: &'static Adapter,
}

impl Rig {
    pub(crate) fn of(scheme: &str) -> Option<Self> {
        // A build without its client asks nothing of it.
        let adapter: &Adapter =
            brokers::adapters().iter().find(|adapter| adapter.scheme == scheme)?;
        let recipe = server::installed(adapter.server?)?;
        let server = Server::away(recipe);
        let settings = Settings { lease: Duration::from_secs(2), ..Settings::default() };
        let broker = adapter.open(&server.address, settings).unwrap();
        Some(Self { server, broker, adapter })
    }

    pub(crate) async fn subscribe(&self) -> Box<dyn Subscription> {
        self.broker.subscribe(TOPIC, SubscribeOptions { prefetch: 64 }).await.unwrap()
    }

    /// SIGKILL: nothing is written any more.
    pub(crate) async fn kill(&mut self) {
        self.server.running.take().unwrap().kill().await.unwrap();
    }

    pub(crate) async fn publish_patiently(&self, key: &str) {
        publish_patiently(&*self.broker, key).await;
    }
}

/// Asks until the server is there again.
pub(crate) async fn publish_patiently(broker: &dyn Broker, key: &str) {
    within(async {
        while let Err(error) = broker.publish(TOPIC, message(key)).await {
            assert!(matches!(error, Error::Unavailable(_)), "{error}");
            tokio::time::sleep(POLL).await;
        }
    })
    .await;
}

/// Takes and settles until it has met all of these.
pub(crate) async fn meet(consumer: &dyn Subscription, mut owed: BTreeSet<String>) {
    while !owed.is_empty() {
        let delivery = next(consumer).await;
        if consumer.ack(&delivery.receipt).await.is_ok() {
            owed.remove(&delivery.message.key);
        }
    }
}

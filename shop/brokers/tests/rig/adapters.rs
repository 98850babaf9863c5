//! Brokers to test.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use brokers::channel::Channel;
use brokers::embedded::{Client, Options, Queue, serve};
use brokers::{Backoff, Broker, Depth, Settings, SubscribeOptions, Subscription};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::waiting::{TOPIC, holds, message};

/// Longer than any test: a lease or backoff that must not end by itself.
pub(crate) const FOREVER: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy)]
pub(crate) enum Adapter {
    Channel,
    Embedded,
}

pub(crate) struct Rig {
    pub(crate) broker: Arc<dyn Broker>,
    _kept: Option<(tempfile::TempDir, DropGuard)>,
}

impl Adapter {
    pub(crate) async fn start(self, settings: Settings) -> Rig {
        match self {
            Self::Channel => Rig { broker: Arc::new(Channel::new(settings)), _kept: None },
            Self::Embedded => embedded(settings).await,
        }
    }
}

async fn embedded(settings: Settings) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { settings, ..Options::default() };
    let queue = Arc::new(Queue::open(&dir.path().join("broker.db"), options).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, queue, stop.clone().cancelled_owned()));
    let broker = Arc::new(Client::connect(&address).await.unwrap());
    Rig { broker, _kept: Some((dir, stop.drop_guard())) }
}

/// Leases and backoffs that do not end during a test.
pub(crate) fn patient() -> Settings {
    Settings {
        lease: FOREVER,
        attempts_max: 3,
        backoff: Backoff { base: FOREVER, max: FOREVER },
        depth_max: 1_000,
    }
}

/// A failed message comes again at once.
pub(crate) fn eager() -> Settings {
    let at_once = Backoff { base: Duration::ZERO, max: Duration::ZERO };
    Settings { backoff: at_once, ..patient() }
}

impl Rig {
    pub(crate) async fn publish(&self, key: impl ToString) {
        self.broker.publish(TOPIC, message(key)).await.unwrap();
    }

    pub(crate) async fn subscribe(&self, prefetch: u32) -> Box<dyn Subscription> {
        self.broker.subscribe(TOPIC, SubscribeOptions { prefetch }).await.unwrap()
    }

    pub(crate) async fn depth(&self) -> Depth {
        self.broker.depth(TOPIC).await.unwrap()
    }

    /// Waits until the topic holds this.
    #[track_caller]
    pub(crate) fn holds(&self, depth: Depth) -> impl Future<Output = ()> {
        holds(&self.broker, depth)
    }
}

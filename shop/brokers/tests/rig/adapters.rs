//! Brokers to test.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use brokers::embedded::{Options, Queue, serve};
use brokers::{
    Backoff, Broker, Capabilities, Depth, Error, Settings, SubscribeOptions, Subscription,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::server::{self, Server};
use crate::waiting::{DEADLINE, TOPIC, message};

/// Longer than any test: a lease or backoff that must not end by itself.
pub(crate) const FOREVER: Duration = Duration::from_secs(3_600);
/// How soon one that starts is asked again.
const POLL: Duration = Duration::from_millis(10);

/// One that is asked.
#[derive(Clone, Copy)]
pub(crate) struct Adapter(&'static brokers::Adapter);

pub(crate) struct Rig {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) topic: String,
    pub(crate) can: Capabilities,
    _kept: Kept,
}

/// What ends with the test.
enum Kept {
    Nothing,
    Folder(#[expect(dead_code, reason = "it goes when it is dropped")] TempDir),
    Served(#[expect(dead_code, reason = "it ends when it is dropped")] (TempDir, DropGuard)),
    Server(Arc<Server>),
}

impl Kept {
    fn said(&self) -> String {
        match self {
            Self::Server(server) => server.place().said(),
            Self::Nothing | Self::Folder(_) | Self::Served(_) => "nothing".to_owned(),
        }
    }
}

impl Adapter {
    /// The adapter of this scheme; none, with a word, if its server is not installed.
    pub(crate) fn of(scheme: &str) -> Option<Self> {
        // A build without its client asks nothing of it.
        let adapter = brokers::adapters().iter().find(|adapter| adapter.scheme == scheme)?;
        adapter.server.is_none_or(|name| server::installed(name).is_some()).then_some(Self(adapter))
    }

    /// Whether a server that others wrote answers for it.
    pub(crate) fn is_served(self) -> bool {
        self.0.server.is_some()
    }

    /// One that ends soon, and not before a busy server's first delivery has come.
    pub(crate) fn short_lease(self) -> Duration {
        Duration::from_millis(if self.is_served() { 500 } else { 50 })
    }

    pub(crate) async fn start(self, settings: Settings) -> Rig {
        let can = self.0.capabilities;
        let (broker, kept) = match self.0.server {
            Some(name) => {
                let server = shared(name).await;
                (self.0.open(&server.address, settings).unwrap(), Kept::Server(server))
            }
            None if self.0.scheme == "embedded" => embedded(settings).await,
            None if self.0.scheme == "log" => self.inside(settings),
            None => (self.0.open("", settings).unwrap(), Kept::Nothing),
        };
        let topic = new_topic();
        let end = Instant::now() + DEADLINE;
        while let Err(error @ Error::Unavailable(_)) = broker.depth(&topic).await {
            assert!(Instant::now() < end, "{error}; its server said: {}", kept.said());
            tokio::time::sleep(POLL).await;
        }
        Rig { broker, topic, can, _kept: kept }
    }

    /// In this process, on a log of its own.
    fn inside(self, settings: Settings) -> (Arc<dyn Broker>, Kept) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.log");
        (self.0.open(&path.display().to_string(), settings).unwrap(), Kept::Folder(dir))
    }
}

/// A server that the tests beside this one use, too, each with a topic of its own. It ends with the last of them.
async fn shared(name: &'static str) -> Arc<Server> {
    static SERVERS: Mutex<BTreeMap<&str, Weak<Server>>> = Mutex::const_new(BTreeMap::new());
    let mut servers = SERVERS.lock().await;
    if let Some(server) = servers.get(name).and_then(Weak::upgrade) {
        return server;
    }
    let mut server = Server::away(servers::recipe(name).unwrap());
    server.start().await;
    let server = Arc::new(server);
    servers.insert(name, Arc::downgrade(&server));
    server
}

/// A topic that no other test has.
fn new_topic() -> String {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    format!("{TOPIC}-{}", TAKEN.fetch_add(1, Ordering::Relaxed))
}

/// Its server in this process, with these settings.
async fn embedded(settings: Settings) -> (Arc<dyn Broker>, Kept) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { settings, ..Options::default() };
    let queue = Arc::new(Queue::open(&dir.path().join("broker.log"), options).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("embedded://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, queue, stop.clone().cancelled_owned()));
    (brokers::connect(&url).unwrap(), Kept::Served((dir, stop.drop_guard())))
}

/// Leases and backoffs that do not end during a test.
pub(crate) fn patient() -> Settings {
    Settings {
        lease: FOREVER,
        attempts_max: 3,
        backoff: Backoff { base: FOREVER, max: FOREVER },
        depth_max: 1_000,
        durable: true,
    }
}

/// A failed message comes again at once.
pub(crate) fn eager() -> Settings {
    let at_once = Backoff { base: Duration::ZERO, max: Duration::ZERO };
    Settings { backoff: at_once, ..patient() }
}

impl Rig {
    pub(crate) async fn publish(&self, key: impl ToString) {
        self.broker.publish(&self.topic, message(key)).await.unwrap();
    }

    pub(crate) async fn subscribe(&self, prefetch: u32) -> Box<dyn Subscription> {
        self.broker.subscribe(&self.topic, SubscribeOptions { prefetch }).await.unwrap()
    }

    pub(crate) async fn depth(&self) -> Depth {
        self.broker.depth(&self.topic).await.unwrap()
    }

    /// That the topic holds this, as far as the broker can tell.
    #[track_caller]
    pub(crate) fn is(&self, expected: Depth) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            let found = self.told(self.depth().await);
            assert_eq!(found, self.told(expected), "{place}");
        }
    }

    /// Waits until the topic holds this, as far as the broker can tell.
    #[track_caller]
    pub(crate) fn holds(&self, expected: Depth) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            let end = Instant::now() + DEADLINE;
            loop {
                let found = self.depth().await;
                if self.told(found) == self.told(expected) {
                    return;
                }
                assert!(Instant::now() < end, "{place}: expected {expected:?}, found {found:?}");
                tokio::task::yield_now().await;
            }
        }
    }

    /// What it may tell of this depth.
    fn told(&self, depth: Depth) -> Depth {
        if self.can.depth {
            return depth;
        }
        let live = depth.ready + depth.delayed + depth.leased;
        Depth { ready: live, delayed: 0, leased: 0, ..depth }
    }
}

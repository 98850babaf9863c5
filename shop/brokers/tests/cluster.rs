//! What a cluster of three keeps, and how soon it goes on, when the node that leads a queue is killed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test tells what it could not do, and what it saw")]

#[path = "rig/server.rs"]
#[expect(dead_code, reason = "the rest is for servers that are alone")]
mod server;
#[path = "rig/waiting.rs"]
#[expect(dead_code, reason = "the rest is for who takes by itself")]
mod waiting;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brokers::{Broker, Error, Settings, SubscribeOptions, Subscription};
use servers::{Output, Place, Recipe, Running};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use waiting::{TOPIC, message, within};

const NODES: usize = 3;
const KILLS: usize = 3;
const PUBLISHERS: usize = 4;
/// They are more than publishers, and faster than these: a backlog would hide how soon consumers go on.
const CONSUMERS: usize = 4 * PUBLISHERS;
/// Between two messages of a publisher.
const PACE: Duration = Duration::from_millis(50);
/// How soon who has no answer yet is asked again.
const POLL: Duration = Duration::from_millis(20);

/// Asks clusters of these engines.
macro_rules! asked {
    ($($scheme:ident)+) => {
        const ASKED: &[&str] = &[$(stringify!($scheme)),+];
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $scheme() {
            if let Some(cluster) = Cluster::of(stringify!($scheme)) {
                goes_on_when_its_leader_is_killed(cluster).await;
            }
        })+
    };
}

asked!(kafka nats rabbitmq);

#[test]
fn every_cluster_is_asked() {
    for adapter in brokers::adapters() {
        let leads = adapter.server.and_then(servers::recipe).and_then(|recipe| recipe.leads);
        assert_eq!(leads.is_some(), ASKED.contains(&adapter.scheme), "{}", adapter.scheme);
    }
}

/// Three nodes on one host.
struct Cluster {
    recipe: &'static Recipe,
    places: Vec<Place>,
    running: Vec<Option<Running>>,
    broker: Arc<dyn Broker>,
    _folder: TempDir,
}

impl Cluster {
    /// None if this build or this machine has none of it.
    fn of(scheme: &str) -> Option<Self> {
        let adapter = brokers::adapters().iter().find(|adapter| adapter.scheme == scheme)?;
        let recipe = server::installed(adapter.server?)?;
        let folder = tempfile::tempdir().unwrap();
        let nodes: Vec<_> = (0..NODES).map(|_| address(servers::free_port().unwrap())).collect();
        let place = |node: usize| {
            let data = folder.path().join(node.to_string());
            std::fs::create_dir(&data).unwrap();
            let secret = Some("a-word-of-this-test".to_owned());
            let alone = Place::durable(servers::free_port().unwrap(), data);
            Place { nodes: nodes.clone(), node, secret, ..alone }
        };
        let places: Vec<_> = (0..NODES).map(place).collect();
        let addresses: Vec<_> = places.iter().map(|at| address(at.port).to_string()).collect();
        let settings = Settings { lease: Duration::from_secs(2), ..Settings::default() };
        let broker = adapter.open(&addresses.join(","), settings).unwrap();
        let running = places.iter().map(|_| None).collect();
        Some(Self { recipe, places, running, broker, _folder: folder })
    }

    async fn start(&mut self, node: usize) {
        self.running[node] =
            Some(self.recipe.start(&self.places[node], Output::Kept).await.unwrap());
    }

    /// What a node that is up says of itself.
    async fn leads(&self, node: usize) -> Option<bool> {
        let (leads, place) = (self.recipe.leads.unwrap(), self.places[node].clone());
        tokio::task::spawn_blocking(move || leads(&place, TOPIC).ok()).await.unwrap()
    }

    async fn leader(&self) -> usize {
        within(async {
            loop {
                for node in 0..NODES {
                    if self.leads(node).await == Some(true) {
                        return node;
                    }
                }
                sleep(POLL).await;
            }
        })
        .await
    }

    /// SIGKILL: nothing is written any more.
    async fn kill(&mut self, node: usize) {
        self.running[node].take().unwrap().kill().await.unwrap();
    }
}

fn address(port: u16) -> std::net::SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Asks until it is taken, since another node must lead first.
async fn publish_patiently(broker: &dyn Broker, key: &str) {
    let end = Instant::now() + waiting::DEADLINE;
    while let Err(error) = broker.publish(TOPIC, message(key)).await {
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        assert!(Instant::now() < end, "{key}: {error}");
        sleep(POLL).await;
    }
}

/// Work that goes on beside what is done to the cluster.
struct Load {
    stop: Arc<AtomicBool>,
    publishers: JoinSet<Vec<String>>,
    met: Arc<Mutex<BTreeSet<String>>>,
    _consumers: JoinSet<()>,
}

impl Load {
    async fn begin(broker: &Arc<dyn Broker>) -> Self {
        let (stop, met) = (Arc::<AtomicBool>::default(), Arc::<Mutex<BTreeSet<String>>>::default());
        let (mut publishers, mut consumers) = (JoinSet::new(), JoinSet::new());
        for publisher in 0..PUBLISHERS {
            let (broker, stop) = (Arc::clone(broker), Arc::clone(&stop));
            publishers.spawn(async move {
                let mut acknowledged = Vec::new();
                let mut pace = interval(PACE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stop.load(Ordering::Relaxed) {
                    pace.tick().await;
                    let key = format!("{publisher}-{}", acknowledged.len());
                    publish_patiently(&*broker, &key).await;
                    acknowledged.push(key);
                }
                acknowledged
            });
        }
        let subscribed = broker.subscribe(TOPIC, SubscribeOptions { prefetch: 64 }).await.unwrap();
        let subscribed: Arc<dyn Subscription> = subscribed.into();
        for _ in 0..CONSUMERS {
            let (subscribed, meets) = (Arc::clone(&subscribed), Arc::clone(&met));
            consumers.spawn(async move {
                loop {
                    let Ok(delivery) = subscribed.next().await else { continue };
                    meets.lock().unwrap().insert(delivery.message.key);
                    // If that is not heard, it comes again or it does not.
                    let _ = subscribed.ack(&delivery.receipt).await;
                }
            });
        }
        Self { stop, publishers, met, _consumers: consumers }
    }

    async fn meets(&self, key: &str) {
        within(async {
            while !self.met.lock().unwrap().contains(key) {
                sleep(POLL).await;
            }
        })
        .await;
    }

    /// All that was acknowledged meanwhile.
    async fn end(&mut self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeSet::new();
        while let Some(acknowledged) = self.publishers.join_next().await {
            all.extend(acknowledged.unwrap());
        }
        all
    }
}

async fn goes_on_when_its_leader_is_killed(mut cluster: Cluster) {
    for node in 0..NODES {
        cluster.start(node).await;
    }
    publish_patiently(&*cluster.broker, "first").await;
    let mut load = Load::begin(&cluster.broker).await;
    load.meets("first").await;
    for life in 0..KILLS {
        let leader = cluster.leader().await;
        cluster.kill(leader).await;
        let (begun, key) = (Instant::now(), format!("after {life}"));
        publish_patiently(&*cluster.broker, &key).await;
        let taken = begun.elapsed();
        load.meets(&key).await;
        let met = begun.elapsed();
        let node = leader + 1;
        println!(
            "{}: node {node} killed; acknowledged after {taken:?}, met after {met:?}",
            cluster.recipe.name
        );
        cluster.start(leader).await;
        within(async {
            while cluster.leads(leader).await.is_none() {
                sleep(POLL).await;
            }
        })
        .await;
    }
    let acknowledged = load.end().await;
    println!("{}: {} acknowledged", cluster.recipe.name, acknowledged.len());
    for key in acknowledged {
        load.meets(&key).await;
    }
}

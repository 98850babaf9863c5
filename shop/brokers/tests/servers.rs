//! What is kept, and what comes back by itself, when a server that others wrote is killed, frozen, or away.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test tells what it could not do")]

#[path = "rig/server.rs"]
mod server;
#[path = "rig/waiting.rs"]
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brokers::{Adapter, Broker, Error, Settings, SubscribeOptions, Subscription};
use tokio::task::JoinSet;
use tokio::time::Instant;

use server::Server;
use waiting::{TOPIC, message, next, within};

const PUBLISHERS: usize = 8;
const KILLS: usize = 3;
const PUBLISHED_PER_LIFE: usize = 100;
/// No caller waits for longer than this for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon one that starts is asked again.
const POLL: Duration = Duration::from_millis(10);

/// Asks the servers of these adapters.
macro_rules! asked {
    ($($scheme:ident)+) => {
        const ASKED: &[&str] = &[$(stringify!($scheme)),+];
        $(mod $scheme { promises!($scheme: keeps_what_it_acknowledged_through_kill_9
            answers_again_after_it_was_frozen may_come_later_than_its_clients
            takes_a_backlog_of_ten_thousand); })+
    };
}

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

asked!(kafka lavinmq nats postgres rabbitmq redis sqs);

#[test]
fn every_server_is_asked() {
    for adapter in brokers::adapters().iter().filter(|adapter| adapter.server.is_some()) {
        assert!(ASKED.contains(&adapter.scheme), "asked! lacks {}", adapter.scheme);
    }
}

/// What is measured is what is tested.
#[test]
fn a_system_file_starts_each_server_by_its_recipe() {
    for adapter in brokers::adapters() {
        let Some(name) = adapter.server else { continue };
        let path = format!("{}/../../systems/async-{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let expected = format!("\"broker-door\", \"--server\", \"{name}\"");
        let file = std::fs::read_to_string(&path).unwrap();
        assert!(file.contains(&expected), "{path} lacks {expected}");
    }
}

/// A server that is not started yet, and a client of it.
struct Rig {
    server: Server,
    broker: Arc<dyn Broker>,
    is_durable: bool,
}

impl Rig {
    fn of(scheme: &str) -> Option<Self> {
        // A build without its client asks nothing of it.
        let adapter: &Adapter =
            brokers::adapters().iter().find(|adapter| adapter.scheme == scheme)?;
        let recipe = server::installed(adapter.server?)?;
        let server = Server::away(recipe);
        let settings = Settings { lease: Duration::from_secs(2), ..Settings::default() };
        let broker = adapter.open(&server.address, settings).unwrap();
        Some(Self { server, broker, is_durable: adapter.capabilities.durable })
    }

    async fn subscribe(&self) -> Box<dyn Subscription> {
        self.broker.subscribe(TOPIC, SubscribeOptions { prefetch: 64 }).await.unwrap()
    }

    /// SIGKILL: nothing is written any more.
    async fn kill(&mut self) {
        self.server.running.take().unwrap().kill().await.unwrap();
    }

    fn freeze(&self, frozen: bool) {
        self.server.running.as_ref().unwrap().freeze(frozen);
    }

    /// Asks until the server is there again.
    async fn publish_patiently(&self, key: &str) {
        within(async {
            while let Err(error) = self.broker.publish(TOPIC, message(key)).await {
                assert!(matches!(error, Error::Unavailable(_)), "{error}");
                tokio::time::sleep(POLL).await;
            }
        })
        .await;
    }
}

/// Takes and settles until it has met all of these.
async fn meet(consumer: &dyn Subscription, mut owed: BTreeSet<String>) {
    while !owed.is_empty() {
        let delivery = next(consumer).await;
        if consumer.ack(&delivery.receipt).await.is_ok() {
            owed.remove(&delivery.message.key);
        }
    }
}

/// Publishes until it fails; returns the keys that were acknowledged.
async fn publish_on(broker: Arc<dyn Broker>, name: String, done: Arc<AtomicUsize>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let key = format!("{name}-{number}");
        if broker.publish(TOPIC, message(&key)).await.is_err() {
            break;
        }
        acknowledged.push(key);
        done.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

async fn keeps_what_it_acknowledged_through_kill_9(mut rig: Rig) {
    if !rig.is_durable {
        return;
    }
    rig.server.start().await;
    rig.publish_patiently("first").await;
    let consumer = rig.subscribe().await;
    let mut owed = BTreeSet::from(["first".to_owned()]);
    for life in 0..KILLS {
        let (mut publishers, done) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for publisher in 0..PUBLISHERS {
            let name = format!("{life}-{publisher}");
            publishers.spawn(publish_on(Arc::clone(&rig.broker), name, Arc::clone(&done)));
        }
        within(async {
            while done.load(Ordering::Relaxed) < PUBLISHED_PER_LIFE {
                tokio::task::yield_now().await;
            }
        })
        .await;
        rig.kill().await;
        owed.extend(publishers.join_all().await.concat());
        rig.server.start().await;
        rig.publish_patiently(&format!("after {life}")).await;
    }
    meet(&*consumer, owed).await;
}

async fn answers_again_after_it_was_frozen(mut rig: Rig) {
    rig.server.start().await;
    rig.publish_patiently("before").await;
    let consumer = rig.subscribe().await;
    meet(&*consumer, ["before".to_owned()].into()).await;
    rig.freeze(true);
    let begun = Instant::now();
    let outcome = within(rig.broker.publish(TOPIC, message("meanwhile"))).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    assert!(begun.elapsed() < PATIENCE, "it waited for {:?}", begun.elapsed());
    rig.freeze(false);
    rig.publish_patiently("after").await;
    meet(&*consumer, ["after".to_owned()].into()).await;
}

async fn may_come_later_than_its_clients(mut rig: Rig) {
    let early = rig.broker.publish(TOPIC, message("early")).await;
    assert!(matches!(early, Err(Error::Unavailable(_))), "{early:?}");
    let early = rig.broker.subscribe(TOPIC, SubscribeOptions::default()).await;
    assert!(matches!(early.err(), Some(Error::Unavailable(_))));
    rig.server.start().await;
    rig.publish_patiently("late").await;
    meet(&*rig.subscribe().await, ["late".to_owned()].into()).await;
}

async fn takes_a_backlog_of_ten_thousand(mut rig: Rig) {
    const BACKLOG: usize = 10_000;
    rig.server.start().await;
    rig.publish_patiently("0").await;
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let broker = Arc::clone(&rig.broker);
        publishers.spawn(async move {
            for number in (1 + publisher..BACKLOG).step_by(PUBLISHERS) {
                broker.publish(TOPIC, message(number)).await.unwrap();
            }
        });
    }
    publishers.join_all().await;
    let depth = rig.broker.depth(TOPIC).await.unwrap();
    assert_eq!((depth.ready, depth.dead), (BACKLOG as u64, 0));
    let consumer = rig.subscribe().await;
    let owed = (0..BACKLOG).map(|number| number.to_string()).collect();
    meet(&*consumer, owed).await;
    let depth = rig.broker.depth(TOPIC).await.unwrap();
    assert_eq!(depth.ready + depth.leased + depth.dead, 0, "{depth:?}");
}

/// A server that would lose what it answered is no broker.
#[cfg(feature = "redis")]
#[tokio::test]
async fn a_redis_that_answers_before_its_fsync_is_refused() {
    let Some(recipe) = server::installed("redis") else { return };
    let mut server = Server::away(recipe);
    server.start_in(&servers::Place { durable: false, ..server.place() }).await;
    let adapter = brokers::adapters().iter().find(|adapter| adapter.scheme == "redis").unwrap();
    let broker = adapter.open(&server.address, Settings::default()).unwrap();
    let refused = within(async {
        loop {
            match broker.publish(TOPIC, message("k")).await {
                Err(Error::Unavailable(_)) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    })
    .await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("appendfsync is everysec, expected always"), "{text}");
}

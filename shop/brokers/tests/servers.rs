//! What is kept, and what comes back by itself, when a server that others wrote is killed, frozen, or away.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test tells what it could not do")]

#[path = "rig/backlog.rs"]
mod backlog;
#[macro_use]
#[path = "rig/served.rs"]
mod served;
#[path = "rig/server.rs"]
mod server;
#[path = "rig/waiting.rs"]
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use brokers::{Broker, Error, Settings, SubscribeOptions};
use tokio::task::JoinSet;
use tokio::time::Instant;

use served::{PATIENCE, Rig, meet};
#[cfg(feature = "redis")]
use server::Server;
use waiting::{DEADLINE, TOPIC, message, within};

const PUBLISHERS: usize = 8;
const KILLS: usize = 3;
const PUBLISHED_PER_LIFE: usize = 100;

/// Asks the servers of these adapters.
macro_rules! asked {
    ($($scheme:ident)+) => {
        const ASKED: &[&str] = &[$(stringify!($scheme)),+];
        $(mod $scheme { promises!($scheme: keeps_what_it_acknowledged_through_kill_9
            answers_again_after_it_was_frozen may_come_later_than_its_clients
            takes_a_long_backlog); })+
    };
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
    if !rig.adapter.capabilities.durable {
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
    let running = rig.server.running.as_ref().unwrap();
    running.freeze().await.unwrap();
    let begun = Instant::now();
    let outcome = within(rig.broker.publish(TOPIC, message("meanwhile"))).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    assert!(begun.elapsed() < PATIENCE, "it waited for {:?}", begun.elapsed());
    running.thaw();
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

/// So many that their server has most of them, and their client few.
async fn takes_a_long_backlog(mut rig: Rig) {
    let length = length(rig.adapter.scheme);
    // Else a busy machine lets leases end, and messages come again; and a bound is felt before it is reached.
    let depth_max = 2 * length as u64;
    let settings = Settings { lease: DEADLINE, depth_max, ..Settings::default() };
    rig.broker = rig.adapter.open(&rig.server.address, settings).unwrap();
    rig.server.start().await;
    within(async {
        while rig.broker.depth(TOPIC).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    backlog::carry(&*rig.broker, length).await;
}

/// Messages of a long backlog.
fn length(scheme: &str) -> usize {
    match scheme {
        // It stands for what cannot be installed, and takes requests one by one.
        "sqs" => 10_000,
        // An fsync for each message, and for each that is done.
        "nats" => 20_000,
        _ => 100_000,
    }
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

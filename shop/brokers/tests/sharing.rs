//! Publishing to a consumer that waits: one commit for both, and nothing lost when it leaves.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use brokers::embedded::{Client, Options, Queue, serve};
use brokers::{Broker, Message, Settings, SubscribeOptions, Subscription};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

const DEADLINE: Duration = Duration::from_secs(20);
const TOPIC: &str = "topic";

struct Rig {
    queue: Arc<Queue>,
    broker: Arc<dyn Broker>,
    _kept: (tempfile::TempDir, DropGuard),
}

/// A broker whose leases do not end and whose messages may be tried often.
async fn rig() -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let lease = Duration::from_secs(3_600);
    let settings = Settings { lease, attempts_max: 10_000, ..Settings::default() };
    let options = Options { settings, ..Options::default() };
    let queue = Arc::new(Queue::open(&dir.path().join("broker.log"), options).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::clone(&queue), stop.clone().cancelled_owned()));
    let broker: Arc<dyn Broker> = Arc::new(Client::connect(&address).await.unwrap());
    Rig { queue, broker, _kept: (dir, stop.drop_guard()) }
}

impl Rig {
    async fn publish(&self, key: usize) {
        let message = Message { key: key.to_string(), ..Message::default() };
        self.broker.publish(TOPIC, message).await.unwrap();
    }

    async fn subscribe(&self) -> Box<dyn Subscription> {
        self.broker.subscribe(TOPIC, SubscribeOptions { prefetch: 16 }).await.unwrap()
    }
}

/// Takes the next message and acks it.
async fn done(subscription: &dyn Subscription) -> usize {
    let delivery = timeout(DEADLINE, subscription.next()).await.unwrap().unwrap();
    subscription.ack(&delivery.receipt).await.unwrap();
    delivery.message.key.parse().unwrap()
}

#[tokio::test]
async fn a_message_for_a_waiting_consumer_is_claimed_in_the_commit_that_stores_it() {
    const MESSAGES: usize = 20;
    let rig = rig().await;
    let subscription = rig.subscribe().await;
    rig.publish(0).await;
    done(&*subscription).await;
    let before = rig.queue.counts().commits;
    for key in 1..=MESSAGES {
        rig.publish(key).await;
        assert_eq!(done(&*subscription).await, key);
    }
    let commits = rig.queue.counts().commits - before;
    // Two each; three if claims had commits of their own. A sweep may add one.
    assert!((2 * MESSAGES as u64..5 * MESSAGES as u64 / 2).contains(&commits), "{commits} commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_claimed_for_a_consumer_that_leaves_is_given_back() {
    // Every delivery that comes back adds an error to its message: more of them take long.
    const MESSAGES: usize = 60;
    let rig = Arc::new(rig().await);
    let publishing = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move {
            for key in 0..MESSAGES {
                rig.publish(key).await;
            }
        }
    });
    while !publishing.is_finished() {
        drop(rig.subscribe().await);
        tokio::task::yield_now().await;
    }
    publishing.await.unwrap();
    let subscription = rig.subscribe().await;
    let mut left: BTreeSet<usize> = (0..MESSAGES).collect();
    while !left.is_empty() {
        assert!(left.remove(&done(&*subscription).await), "a message came twice");
    }
    assert!(
        rig.queue.counts().claims > MESSAGES as u64,
        "some were claimed for consumers that left"
    );
}

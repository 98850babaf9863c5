//! The typed topic and its consuming loop, over the broker in this process and a stopped clock.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use brokers::channel::Channel;
use brokers::{Broker, Depth, Message, Settings, SubscribeOptions, Topic};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Charge {
    cents: i64,
}

const PREFETCH: SubscribeOptions = SubscribeOptions { prefetch: 4 };

fn start() -> (Arc<dyn Broker>, Topic<Charge>) {
    let broker: Arc<dyn Broker> =
        Arc::new(Channel::new(Settings { attempts_max: 3, ..Settings::default() }));
    let topic = Topic::new(Arc::clone(&broker), "charges");
    (broker, topic)
}

async fn publish(topic: &Topic<Charge>, cents: i64) {
    topic.publish(&format!("k-{cents}"), BTreeMap::new(), &Charge { cents }).await.unwrap();
}

async fn depth(broker: &Arc<dyn Broker>) -> Depth {
    broker.depth("charges").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_value_arrives_with_key_and_headers() {
    let (broker, topic) = start();
    let headers = BTreeMap::from([("traceparent".to_owned(), "00-1-2-3".to_owned())]);
    topic.publish("k", headers.clone(), &Charge { cents: 5 }).await.unwrap();
    let inbox = topic.subscribe(PREFETCH).await.unwrap();
    let received = inbox.next().await.unwrap();
    assert_eq!(
        (received.value, received.key, received.headers),
        (Charge { cents: 5 }, "k".to_owned(), headers)
    );
    inbox.ack(received.receipt).await.unwrap();
    assert_eq!(depth(&broker).await, Depth::default());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_this_type_dies_and_blocks_nobody() {
    let (broker, topic) = start();
    let message = Message { payload: "{\"cents\":\"many\"}".into(), ..Message::default() };
    broker.publish("charges", message).await.unwrap();
    publish(&topic, 7).await;
    let inbox = topic.subscribe(PREFETCH).await.unwrap();
    let received = inbox.next().await.unwrap();
    assert_eq!(received.value.cents, 7);
    inbox.ack(received.receipt).await.unwrap();
    // While it waits for more, the clock moves on to the backoffs of the other.
    let more = timeout(Duration::from_secs(60), inbox.next()).await;
    assert!(more.is_err(), "{more:?}");
    let letters = broker.dead("charges", 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].attempts), (1, 3));
    assert!(letters[0].errors[0].text.contains("not the expected JSON"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn consume_acks_what_is_done_and_retries_what_failed() {
    let (broker, topic) = start();
    for cents in [1, 2, 3] {
        publish(&topic, cents).await;
    }
    let (seen, mut attempts) = mpsc::channel(16);
    let handle = |received: brokers::Received<Charge>| {
        let seen = seen.clone();
        async move {
            let (cents, attempt) = (received.value.cents, received.receipt.attempt);
            seen.send((cents, attempt)).await.unwrap();
            if cents == 2 { Err(format!("failure {attempt}")) } else { Ok(()) }
        }
    };
    let ended = async {
        while depth(&broker).await != (Depth { dead: 1, ..Depth::default() }) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let consumed = topic.consume(PREFETCH, ended, handle);
    timeout(Duration::from_secs(600), consumed).await.unwrap().unwrap();
    let mut all = Vec::new();
    attempts.recv_many(&mut all, 16).await;
    all.sort_unstable();
    assert_eq!(all, [(1, 1), (2, 1), (2, 2), (2, 3), (3, 1)]);
    let errors = &broker.dead("charges", 1).await.unwrap()[0].errors;
    assert_eq!(errors[2].text, "failure 3");
}

#[tokio::test(start_paused = true)]
async fn consume_keeps_the_lease_of_long_work_and_finishes_it_after_a_stop() {
    let (broker, topic) = start();
    publish(&topic, 1).await;
    let (begun, begins) = oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let handle = |received: brokers::Received<Charge>| {
        begun.lock().unwrap().take().expect("handled once").send(()).unwrap();
        async move {
            sleep(received.lease * 5).await;
            Ok(())
        }
    };
    let stop = async { begins.await.unwrap() };
    topic.consume(PREFETCH, stop, handle).await.unwrap();
    assert_eq!(depth(&broker).await, Depth::default(), "done at the first attempt");
}

#[tokio::test(start_paused = true)]
async fn consume_drops_work_whose_lease_is_lost() {
    let (broker, topic) = start();
    publish(&topic, 1).await;
    let (begun, mut receipts) = mpsc::channel(1);
    let handle = |received: brokers::Received<Charge>| {
        let begun = begun.clone();
        async move {
            begun.send(received.receipt).await.unwrap();
            pending().await
        }
    };
    let inbox = topic.subscribe(PREFETCH).await.unwrap();
    let stop = async {
        // Another holder of the receipt settles it: the next heartbeat is fenced.
        let receipt = receipts.recv().await.unwrap();
        inbox.ack(receipt).await.unwrap();
    };
    let consumed = timeout(Duration::from_secs(60), topic.consume(PREFETCH, stop, handle)).await;
    consumed.expect("the work is dropped, so the stop ends").unwrap();
    assert_eq!(depth(&broker).await, Depth::default());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_fails_its_own_message_only() {
    let (broker, topic) = start();
    for cents in [1, 2] {
        publish(&topic, cents).await;
    }
    let handle = |received: brokers::Received<Charge>| async move {
        assert!(received.value.cents != 1, "poison");
        Ok(())
    };
    let ended = async {
        while depth(&broker).await != (Depth { dead: 1, ..Depth::default() }) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let consumed = topic.consume(PREFETCH, ended, handle);
    timeout(Duration::from_secs(600), consumed).await.unwrap().unwrap();
    let letter = &broker.dead("charges", 1).await.unwrap()[0];
    assert_eq!((letter.message.key.as_str(), letter.attempts), ("k-1", 3));
    assert_eq!(letter.errors[0].text, "the handler panicked");
}

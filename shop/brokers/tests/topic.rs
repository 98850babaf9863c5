//! The typed topic and its consuming loop, over the broker in this process and a stopped clock.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brokers::channel::Channel;
use brokers::{Broker, Depth, Message, Settings, Settle, SubscribeOptions, Topic, Trouble};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

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

/// Waits until the topic holds nothing, and then for nobody.
async fn drained(broker: &Arc<dyn Broker>) {
    while depth(broker).await != Depth::default() {
        sleep(Duration::from_millis(500)).await;
    }
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
    inbox.settle(&received.receipt, Settle::Ack).await.unwrap();
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
    inbox.settle(&received.receipt, Settle::Ack).await.unwrap();
    let letters = broker.dead("charges", 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].attempts), (1, 1), "it would never be right");
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
            let (cents, attempt) = (received.value.cents, received.attempt.unwrap());
            seen.send((cents, attempt)).await.unwrap();
            if cents == 2 { Err(Trouble::Failed(format!("failure {attempt}"))) } else { Ok(()) }
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
            sleep(received.lease.unwrap() * 5).await;
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
        inbox.settle(&receipt, Settle::Ack).await.unwrap();
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

#[tokio::test(start_paused = true)]
async fn an_outage_of_any_length_costs_no_attempt_and_little_work() {
    const MESSAGES: i64 = 500;
    const OUTAGE: Duration = Duration::from_secs(3_600);
    let (broker, topic) = start();
    for cents in 0..MESSAGES {
        publish(&topic, cents).await;
    }
    let (begun, tries) = (Instant::now(), AtomicUsize::new(0));
    let heals = begun + OUTAGE;
    let handle = |_: brokers::Received<Charge>| {
        // By then it is seen as an outage: few try, whatever the number of those that wait.
        if begun.elapsed() > Duration::from_secs(10) {
            tries.fetch_add(1, Ordering::Relaxed);
        }
        async move {
            let down = Instant::now() < heals;
            if down { Err(Trouble::NotNow("refused".to_owned())) } else { Ok(()) }
        }
    };
    let options = SubscribeOptions { prefetch: 64 };
    topic.consume(options, drained(&broker), handle).await.unwrap();
    let late = Instant::now() - heals;
    assert!(late < Duration::from_secs(30), "the last was done {late:?} after the outage");
    let tries = tries.load(Ordering::Relaxed);
    assert!(tries < MESSAGES as usize + 3_600 * 10, "{tries} tries");
    assert!(broker.dead("charges", 1).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_hangs_does_not_keep_the_others_from_their_turn() {
    const HANGING: i64 = 150;
    let (broker, topic) = start();
    for cents in 0..HANGING {
        publish(&topic, cents).await;
    }
    let begun = Instant::now();
    let placing = async {
        for second in 0..60 {
            publish(&topic, HANGING + second).await;
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (done, mut all) = mpsc::channel(64);
    let handle = |received: brokers::Received<Charge>| {
        let done = done.clone();
        async move {
            if received.value.cents < HANGING {
                sleep(Duration::from_millis(2_500)).await;
                return Err(Trouble::NotNow("the issuer did not answer".to_owned()));
            }
            let placed_s = (received.value.cents - HANGING) as u64;
            done.send((placed_s, begun.elapsed() - Duration::from_secs(placed_s))).await.unwrap();
            Ok(())
        }
    };
    let options = SubscribeOptions { prefetch: 64 };
    topic.consume(options, placing, handle).await.unwrap();
    let mut good = Vec::new();
    while let Ok(one) = all.try_recv() {
        good.push(one);
    }
    assert_eq!(good.len(), 60);
    for (placed_s, waited) in good {
        // Three windows of those that hang were there before; each of these is fresh once.
        let bound = if placed_s < 8 { 8_000 } else { 100 };
        assert!(waited < Duration::from_millis(bound), "{waited:?}, placed at {placed_s} s");
    }
    assert!(broker.dead("charges", 1).await.unwrap().is_empty());
}

/// Keys of a batch and what the handler says of each.
type Batches = Arc<std::sync::Mutex<Vec<Vec<i64>>>>;

/// Consumes until nothing is left but so many dead; each batch is noted, and its outcomes are the handler's.
async fn in_batches(
    (broker, topic): &(Arc<dyn Broker>, Topic<Charge>),
    dead: u64,
    outcomes: impl Fn(&[i64]) -> Vec<brokers::Handled>,
) -> Vec<Vec<i64>> {
    let batches = Batches::default();
    let noted = Arc::clone(&batches);
    let handle = move |batch: Vec<brokers::Received<Charge>>| {
        let cents: Vec<i64> = batch.iter().map(|received| received.value.cents).collect();
        noted.lock().unwrap().push(cents.clone());
        let outcomes = outcomes(&cents);
        async move { outcomes }
    };
    let ended = async {
        while depth(broker).await != (Depth { dead, ..Depth::default() }) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let consumed = topic.consume_batches(WIDE, 3, ended, handle);
    timeout(Duration::from_secs(600), consumed).await.unwrap().unwrap();
    Arc::into_inner(batches).unwrap().into_inner().unwrap()
}

const WIDE: SubscribeOptions = SubscribeOptions { prefetch: 16 };

fn done(cents: &[i64]) -> Vec<brokers::Handled> {
    cents.iter().map(|_| Ok(())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_worked_on_together_and_nothing_is_waited_for() {
    let rig = start();
    for cents in 1..=7 {
        publish(&rig.1, cents).await;
    }
    let begun = Instant::now();
    let batches = in_batches(&rig, 0, done).await;
    assert_eq!(batches, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    assert!(begun.elapsed() < Duration::from_secs(1), "of a stopped clock");
}

#[tokio::test(start_paused = true)]
async fn who_fails_in_company_is_tried_alone_and_dies_alone() {
    let rig = start();
    for cents in [1, 2, 3] {
        publish(&rig.1, cents).await;
    }
    // A commit that fails because of one of them fails for all.
    let outcomes = |cents: &[i64]| match cents {
        [2] => vec![Err(Trouble::Failed("its own".to_owned()))],
        [_] => vec![Ok(())],
        all => all.iter().map(|_| Err(Trouble::Failed("of all".to_owned()))).collect(),
    };
    let batches = in_batches(&rig, 1, outcomes).await;
    assert_eq!(batches[..4], [vec![1, 2, 3], vec![1], vec![2], vec![3]]);
    assert_eq!(batches[4..], [[2], [2]], "its neighbours are done, and it comes again alone");
    let letters = rig.0.dead("charges", 10).await.unwrap();
    assert_eq!((letters[0].message.key.as_str(), letters[0].attempts), ("k-2", 3));
    assert!(letters[0].errors.iter().all(|error| error.text == "its own"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn each_of_a_batch_has_an_outcome_of_its_own() {
    let rig = start();
    for cents in [1, 2, 3] {
        publish(&rig.1, cents).await;
    }
    let tries = AtomicUsize::new(0);
    let outcomes = |cents: &[i64]| {
        let of = |cents: &i64| match cents {
            1 => Err(Trouble::Never("it never can".to_owned())),
            2 if tries.fetch_add(1, Ordering::SeqCst) < 5 => {
                Err(Trouble::NotNow("down".to_owned()))
            }
            _ => Ok(()),
        };
        cents.iter().map(of).collect()
    };
    let batches = in_batches(&rig, 1, outcomes).await;
    assert_eq!(batches[0], [1, 2, 3]);
    assert_eq!(batches[1..], [[2], [2], [2], [2], [2]], "put off five times, uncounted");
    let letters = rig.0.dead("charges", 10).await.unwrap();
    assert_eq!((letters[0].message.key.as_str(), letters[0].attempts), ("k-1", 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_or_a_missing_outcome_harms_no_neighbour() {
    for is_panic in [true, false] {
        let rig = start();
        for cents in [1, 2, 3] {
            publish(&rig.1, cents).await;
        }
        let outcomes = |cents: &[i64]| {
            if cents.contains(&2) {
                assert!(!is_panic, "poison");
                return done(&cents[1..]);
            }
            done(cents)
        };
        let batches = in_batches(&rig, 1, outcomes).await;
        assert_eq!(batches[0], [1, 2, 3]);
        assert_eq!(batches.iter().filter(|batch| **batch == [2]).count(), 3, "{batches:?}");
        assert_eq!(rig.0.dead("charges", 10).await.unwrap()[0].message.key, "k-2");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_dies_and_its_neighbours_are_done() {
    let rig = start();
    publish(&rig.1, 1).await;
    let message = Message { payload: "tea".into(), ..Message::default() };
    rig.0.publish("charges", message).await.unwrap();
    publish(&rig.1, 2).await;
    assert_eq!(in_batches(&rig, 1, done).await, [[1, 2]]);
    let letters = rig.0.dead("charges", 10).await.unwrap();
    assert!(letters[0].errors[0].text.contains("not the expected JSON"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn who_loses_its_lease_in_a_batch_leaves_the_others_theirs() {
    let (broker, topic) = start();
    for cents in [1, 2, 3] {
        publish(&topic, cents).await;
    }
    let (begun, mut receipts) = mpsc::channel(1);
    let handle = |batch: Vec<brokers::Received<Charge>>| {
        let begun = begun.clone();
        async move {
            begun.send(batch[1].receipt.clone()).await.unwrap();
            // Many heartbeats long.
            sleep(batch[0].lease.unwrap() * 5).await;
            batch.iter().map(|_| Ok(())).collect()
        }
    };
    let inbox = topic.subscribe(PREFETCH).await.unwrap();
    let stop = async {
        let receipt = receipts.recv().await.unwrap();
        let lost = Settle::Fail("it was another's".to_owned());
        inbox.settle(&receipt, lost).await.unwrap();
    };
    topic.consume_batches(WIDE, 3, stop, handle).await.unwrap();
    let left = depth(&broker).await;
    assert_eq!(
        left.ready + left.delayed + left.leased,
        1,
        "only the one whose lease was lost: {left:?}"
    );
}

//! What the embedded broker keeps through crashes, broken connections and stops.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "rig/backlog.rs"]
mod backlog;
#[path = "rig/process.rs"]
mod process;
#[path = "rig/seeing.rs"]
mod seeing;
#[path = "rig/waiting.rs"]
mod waiting;

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brokers::embedded::Client;
use brokers::{Broker, Depth, Error, Settle, SubscribeOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use process::{CONTROL_TOKEN, Process};
use seeing::{key, nothing};
use waiting::{DEADLINE, TOPIC, message, next, within};

const PUBLISHERS: usize = 16;
const KILLS: usize = 5;
/// Publishes that succeed between two kills, at least.
const PUBLISHED_PER_LIFE: usize = 200;

/// Waits until the topic holds this.
#[track_caller]
fn holds(broker: &Arc<dyn Broker>, depth: Depth) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let end = Instant::now() + DEADLINE;
        loop {
            let found = broker.depth(TOPIC).await.unwrap();
            if found == depth {
                return;
            }
            assert!(Instant::now() < end, "{place}: expected {depth:?}, found {found:?}");
            tokio::task::yield_now().await;
        }
    }
}

async fn subscribe(broker: &Arc<dyn Broker>, prefetch: u32) -> Box<dyn brokers::Subscription> {
    broker.subscribe(TOPIC, SubscribeOptions { prefetch }).await.unwrap()
}

/// Asks until the broker is there again.
async fn publish_patiently(broker: &Arc<dyn Broker>, key: &str) {
    within(async {
        while let Err(error) = broker.publish(TOPIC, message(key)).await {
            assert!(matches!(error, Error::Unavailable(_)), "{error}");
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Publishes until told to stop; returns the keys whose publish returned `Ok`.
async fn publish_on(
    broker: Arc<dyn Broker>,
    publisher: usize,
    done: Arc<AtomicUsize>,
    stop: watch::Receiver<bool>,
) -> (Vec<String>, usize) {
    let (mut acknowledged, mut unknown) = (Vec::new(), 0);
    for number in 0.. {
        if *stop.borrow() {
            break;
        }
        let key = format!("{publisher}-{number}");
        match broker.publish(TOPIC, message(&key)).await {
            Ok(()) => {
                acknowledged.push(key);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Err(Error::Unavailable(text)) => {
                unknown += usize::from(text.contains("unknown"));
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (acknowledged, unknown)
}

/// Takes everything there is, settling it; counts what came twice.
async fn drain(broker: &Arc<dyn Broker>) -> (BTreeSet<String>, usize) {
    let consumer = subscribe(broker, 256).await;
    let (mut seen, mut doubles) = (BTreeSet::new(), 0);
    while broker.depth(TOPIC).await.unwrap() != Depth::default() {
        while let Ok(delivery) =
            tokio::time::timeout(Duration::from_millis(200), consumer.next()).await
        {
            let delivery = delivery.unwrap();
            consumer.ack(&delivery.receipt).await.unwrap();
            doubles += usize::from(!seen.insert(delivery.message.key));
        }
    }
    (seen, doubles)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_publish_that_returned_is_lost_by_kill_9() {
    let mut process = Process::start(&["--depth-max", "1000000"]);
    let broker = process.client().await;
    let (stop, stopped) = watch::channel(false);
    let done = Arc::new(AtomicUsize::new(0));
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let (broker, done) = (Arc::clone(&broker), Arc::clone(&done));
        publishers.spawn(publish_on(broker, publisher, done, stopped.clone()));
    }
    for life in 1..=KILLS {
        let before = done.load(Ordering::Relaxed);
        within(async {
            while done.load(Ordering::Relaxed) < before + PUBLISHED_PER_LIFE + life * 7 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        process.kill();
        process.restart();
    }
    publish_patiently(&broker, "last").await;
    stop.send(true).unwrap();
    let ended = publishers.join_all().await;
    let unknown: usize = ended.iter().map(|(_, unknown)| unknown).sum();
    assert!(unknown >= KILLS, "only {unknown} publishes were in flight at {KILLS} kills");
    let (seen, doubles) = drain(&broker).await;
    for key in ended.iter().flat_map(|(keys, _)| keys) {
        assert!(seen.contains(key), "{key} was acknowledged and is lost");
    }
    assert!(seen.contains("last"));
    assert_eq!(doubles, 0, "nothing was leased at the kills, so nothing comes twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_backlog_is_carried_once() {
    let process = Process::start(&["--lease", "60s"]);
    backlog::carry(&*process.client().await, 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_lost_when_kill_9_meets_deliveries_and_acks() {
    let mut process = Process::start(&["--lease", "500ms", "--attempts", "100"]);
    let broker = process.client().await;
    let consumer = subscribe(&broker, 8).await;
    let mut owed = BTreeSet::new();
    for life in 0..3 {
        for number in 0..100 {
            let key = format!("{life}-{number}");
            publish_patiently(&broker, &key).await;
            owed.insert(key);
        }
        settle(&*consumer, &mut owed, 5).await;
        // Deliveries are leased, buffered and under way.
        process.kill();
        process.restart();
    }
    settle(&*consumer, &mut owed, usize::MAX).await;
    holds(&broker, Depth::default()).await;
}

/// Settles so many deliveries, or until nothing is owed. No ack is under way at a kill here, so one
/// that fails had no effect and its message comes again.
async fn settle(consumer: &dyn brokers::Subscription, owed: &mut BTreeSet<String>, most: usize) {
    let mut settled = 0;
    while settled < most && !owed.is_empty() {
        let delivery = next(consumer).await;
        if consumer.ack(&delivery.receipt).await.is_ok() {
            owed.remove(&delivery.message.key);
            settled += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_survive_the_broker_and_end_at_their_deadline() {
    let lease = Duration::from_secs(2);
    let mut process = Process::start(&["--lease", "2s"]);
    let broker = process.client().await;
    for key in ["done", "crashed"] {
        broker.publish(TOPIC, message(key)).await.unwrap();
    }
    let consumer = subscribe(&broker, 2).await;
    let claimed = Instant::now();
    let (done, crashed) = (next(&*consumer).await, next(&*consumer).await);
    process.kill();
    process.restart();
    within(async {
        while consumer.ack(&done.receipt).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(claimed.elapsed() < lease, "too slow to tell anything");
    let again = next(&*consumer).await;
    assert!(claimed.elapsed() >= lease, "came after {:?}", claimed.elapsed());
    assert_eq!((again.message.key.as_str(), again.attempt), ("crashed", Some(2)));
    assert_eq!(consumer.ack(&crashed.receipt).await, Err(Error::Fenced));
    consumer.ack(&again.receipt).await.unwrap();
    holds(&broker, Depth::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_for_longer_than_a_lease_costs_no_attempt() {
    let lease = Duration::from_secs(2);
    let mut process = Process::start(&["--lease", "2s", "--attempts", "1"]);
    let broker = process.client().await;
    broker.publish(TOPIC, message("held")).await.unwrap();
    let consumer = subscribe(&broker, 1).await;
    let held = next(&*consumer).await;
    let claimed = Instant::now();
    process.kill();
    sleep_until(claimed + lease).await;
    process.restart();
    within(async {
        while let Err(error) = consumer.ack(&held.receipt).await {
            assert!(matches!(error, Error::Unavailable(_)), "{error}");
            tokio::task::yield_now().await;
        }
    })
    .await;
    holds(&broker, Depth::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_from_before_the_loss_of_all_data_settles_nothing() {
    let mut process = Process::start(&["--lease", "1000s"]);
    let broker = process.client().await;
    broker.publish(TOPIC, message("lost")).await.unwrap();
    let consumer = subscribe(&broker, 1).await;
    let lost = next(&*consumer).await;
    process.kill();
    let all = std::fs::read_dir(process.store().parent().unwrap()).unwrap();
    all.for_each(|file| std::fs::remove_file(file.unwrap().path()).unwrap());
    process.restart();
    // The same number in a new file, claimed for the first time as well.
    publish_patiently(&broker, "new").await;
    let new = next(&*consumer).await;
    assert_eq!(new.message.key, "new");
    assert_ne!(new.receipt, lost.receipt);
    assert_eq!(consumer.ack(&lost.receipt).await, Err(Error::Fenced));
    consumer.ack(&new.receipt).await.unwrap();
    holds(&broker, Depth::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_attempt_that_crashed_with_the_broker_is_a_dead_letter() {
    let mut process = Process::start(&["--lease", "300ms", "--attempts", "1"]);
    let broker = process.client().await;
    broker.publish(TOPIC, message("poison")).await.unwrap();
    let consumer = subscribe(&broker, 1).await;
    next(&*consumer).await;
    process.kill();
    process.restart();
    let broker = process.client().await;
    holds(&broker, Depth { dead: 1, ..Depth::default() }).await;
    let letters = broker.dead(TOPIC, 10).await.unwrap();
    assert_eq!((letters[0].message.key.as_str(), letters[0].attempts), ("poison", 1));
    assert_eq!(broker.replay(TOPIC, 10).await.unwrap(), 1);
    assert_eq!(key(&*consumer).await, ("poison".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_returns_its_leases() {
    let process = Process::start(&["--lease", "1000s"]);
    let (goes, stays) = (process.client().await, process.client().await);
    for number in 0..3 {
        stays.publish(TOPIC, message(number)).await.unwrap();
    }
    let first = subscribe(&goes, 3).await;
    let held = next(&*first).await;
    holds(&stays, Depth { leased: 3, ..Depth::default() }).await;
    let second = subscribe(&stays, 6).await;
    nothing(&*second).await;
    drop((first, goes));
    for number in 0..3 {
        assert_eq!(key(&*second).await, (number.to_string(), 1), "it left in order");
    }
    assert_eq!(second.ack(&held.receipt).await, Err(Error::Fenced));
}

/// Passes bytes to `upstream` while open; when closed, cuts what there is and lets nobody in.
async fn proxy(upstream: String) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (open, gate) = watch::channel(true);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (mut gate, upstream) = (gate.clone(), upstream.clone());
            if !*gate.borrow() {
                continue;
            }
            tokio::spawn(async move {
                let mut far = TcpStream::connect(&upstream).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = gate.wait_for(|open| !open) => {}
                }
            });
        }
    });
    (address, open)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_mends_itself_and_old_deliveries_are_void() {
    let process = Process::start(&["--lease", "1000s"]);
    let steady = process.client().await;
    let (address, open) = proxy(process.address.clone()).await;
    let broker: Arc<dyn Broker> = Arc::new(Client::connect(&address).await.unwrap());
    let consumer = subscribe(&broker, 3).await;
    for number in 0..3 {
        steady.publish(TOPIC, message(number)).await.unwrap();
    }
    let before = next(&*consumer).await;
    holds(&steady, Depth { leased: 3, ..Depth::default() }).await;
    // The answer comes behind the deliveries: they wait in the client now.
    broker.depth(TOPIC).await.unwrap();
    open.send(false).unwrap();
    holds(&steady, Depth { ready: 3, ..Depth::default() }).await;
    open.send(true).unwrap();
    for number in 0..3 {
        let delivery = next(&*consumer).await;
        assert_eq!(delivery.message.key, number.to_string());
        // Whoever is cut off may have ended: that is counted.
        assert_eq!(delivery.attempt, Some(2), "handed out though its lease was given back");
        consumer.ack(&delivery.receipt).await.unwrap();
    }
    assert_eq!(consumer.ack(&before.receipt).await, Err(Error::Fenced));
    publish_patiently(&broker, "after").await;
    assert_eq!(key(&*consumer).await, ("after".to_owned(), 1));
}

/// Passes bytes to `upstream`, and what comes back only while nothing is held up.
async fn detour(upstream: String) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (held_up, held) = watch::channel(false);
    tokio::spawn(async move {
        let (mut near_read, mut near_write) = listener.accept().await.unwrap().0.into_split();
        let far = TcpStream::connect(&upstream).await.unwrap();
        let (mut far_read, mut far_write) = far.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut near_read, &mut far_write).await });
        let (mut held, mut bytes) = (held, vec![0; 64 * 1024]);
        while let Ok(count) = far_read.read(&mut bytes).await
            && count > 0
            && held.wait_for(|held| !held).await.is_ok()
        {
            near_write.write_all(&bytes[..count]).await.unwrap();
        }
    });
    (address, held_up)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_held_up_beyond_its_lease_is_not_begun() {
    // Longer than a busy machine takes for what follows, shorter than the client's patience with a silent broker.
    let process = Process::start(&["--lease", "3s"]);
    let steady = process.client().await;
    let (address, held_up) = detour(process.address.clone()).await;
    let broker: Arc<dyn Broker> = Arc::new(Client::connect(&address).await.unwrap());
    let late = subscribe(&broker, 1).await;
    held_up.send(true).unwrap();
    steady.publish(TOPIC, message("once")).await.unwrap();
    holds(&steady, Depth { leased: 1, ..Depth::default() }).await;
    let other = subscribe(&steady, 1).await;
    let again = next(&*other).await;
    assert!(again.attempt > Some(1), "its first lease has not ended");
    held_up.send(false).unwrap();
    nothing(&*late).await;
    other.ack(&again.receipt).await.unwrap();
    drop(other);
    steady.publish(TOPIC, message("after")).await.unwrap();
    assert_eq!(key(&*late).await, ("after".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_drains_and_keeps_everything() {
    let mut process = Process::start(&["--lease", "1000s"]);
    let broker = process.client().await;
    let consumer = subscribe(&broker, 1).await;
    for key in ["held", "waiting"] {
        broker.publish(TOPIC, message(key)).await.unwrap();
    }
    let held = next(&*consumer).await;
    let status = process.terminate();
    assert_eq!(status.code(), Some(0), "{status}");
    let refused = within(broker.publish(TOPIC, message("nobody"))).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    process.restart();
    let waiting = next(&*consumer).await;
    assert_eq!(waiting.message.key, "waiting", "what comes again is behind it");
    consumer.ack(&waiting.receipt).await.unwrap();
    assert_eq!(key(&*consumer).await, ("held".to_owned(), 1), "a stop gives back, uncounted");
    assert_eq!(consumer.ack(&held.receipt).await, Err(Error::Fenced));
}

async fn http(process: &Process, request: &str) -> String {
    http_with(process, request, "host: localhost\r\n").await
}

async fn http_with(process: &Process, request: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(&process.http).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(socket.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_side_door_tells_and_replays() {
    let process = Process::start(&["--attempts", "1"]);
    let broker = process.client().await;
    let consumer = subscribe(&broker, 1).await;
    broker.publish(TOPIC, message("poison")).await.unwrap();
    let receipt = next(&*consumer).await.receipt;
    consumer.settle(&receipt, Settle::Fail("it \"stinks\"".to_owned())).await.unwrap();
    assert!(http(&process, "GET /healthz").await.starts_with("HTTP/1.1 200"));
    assert!(http(&process, "GET /readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = http(&process, "GET /metrics").await;
    for line in ["{topic=\"topic\",state=\"dead\"} 1\n", "broker_failures_total 1\n", "# EOF\n"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let dead = http(&process, "GET /dead/topic").await;
    for part in ["\"key\":\"poison\"", "it \\\"stinks\\\"", "\"attempts\":1"] {
        assert!(dead.contains(part), "{part} in {dead}");
    }
    assert!(http(&process, "GET /dead/topic?limit=x").await.starts_with("HTTP/1.1 400"));
    assert!(http(&process, "GET /nowhere").await.starts_with("HTTP/1.1 404"));
    for path in ["/healthz", "/readyz", "/metrics", "/settings", "/dead/topic"] {
        let refused = http(&process, &format!("TRACE {path}")).await;
        assert!(refused.starts_with("HTTP/1.1 405"), "{refused}");
        assert!(refused.contains("\nallow: GET\r"), "{refused}");
    }
    let stranger = http_with(&process, "GET /dead/topic", "host: evil.example\r\n").await;
    assert!(stranger.starts_with("HTTP/1.1 403"), "{stranger}");
    assert!(dead.contains("\"payload\":null"), "a closed letter: {dead}");
    let token = format!("authorization: Bearer {CONTROL_TOKEN}\r\n");
    let headers = format!("host: localhost\r\ncontent-type: application/json\r\n{token}");
    let opened = http_with(&process, "GET /dead/topic", &headers).await;
    assert!(!opened.contains("\"payload\":null"), "{opened}");
    assert!(http(&process, "POST /dead/topic/replay").await.starts_with("HTTP/1.1 401"));
    let replayed = http_with(&process, "POST /dead/topic/replay", &headers).await;
    assert!(replayed.contains("\"replayed\":1"), "{replayed}");
    assert_eq!(key(&*consumer).await, ("poison".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_whose_file_is_gone_takes_nothing() {
    let process = Process::start(&[]);
    let broker = process.client().await;
    broker.publish(TOPIC, message("kept")).await.unwrap();
    std::fs::remove_file(process.store()).unwrap();
    for _ in 0..3 {
        let refused = broker.publish(TOPIC, message("lost")).await.unwrap_err();
        assert!(matches!(&refused, Error::Unavailable(t) if t.contains("not there")), "{refused}");
    }
    assert!(http(&process, "GET /readyz").await.starts_with("HTTP/1.1 503"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_hurts_nobody_else() {
    let process = Process::start(&[]);
    let broker = process.client().await;
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 1, 0], &[0, 0, 0, 2, 9, 99], &[0, 0]] {
        let mut socket = TcpStream::connect(&process.address).await.unwrap();
        socket.write_all(noise).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Closed or reset; but not left open, and not answered.
        let _ = within(socket.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "{noise:?}: {answer:?}");
    }
    broker.publish(TOPIC, message("a")).await.unwrap();
}

//! What a broker says when a server that others wrote refuses: a stranger, a message that is too large, a disk or
//! a memory that is full. And that what it took before is there, and it goes on afterwards.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test tells what it could not do")]

#[path = "rig/counted.rs"]
mod counted;
#[path = "rig/room.rs"]
mod room;
#[macro_use]
#[path = "rig/served.rs"]
mod served;
#[path = "rig/server.rs"]
mod server;
#[path = "rig/waiting.rs"]
mod waiting;

use std::collections::BTreeSet;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokers::embedded::{Options, Queue, serve};
use brokers::{Afar, Broker, Door, Error, Message, Settings, SubscribeOptions};
use bytes::Bytes;
use futures_util::future::join_all;
use http_server::{Guard, Handler};
use servers::{Place, USER};
use tokio::net::TcpListener;
use tokio::time::Instant;

use counted::Counted;
use room::SmallDisk;
use served::{PATIENCE, Rig, meet, publish_patiently};
use waiting::{TOPIC, message, within};

/// Asks for these promises of the servers of these adapters.
macro_rules! asked {
    ($($scheme:ident: $($promise:ident)+;)+) => { $(mod $scheme { promises!($scheme: $($promise)+); })+ };
}

asked! {
    kafka: refuses_what_is_too_large_alone goes_on_after_its_disk_was_full;
    nats: lets_in_who_shows_the_password refuses_what_is_too_large_alone goes_on_after_its_disk_was_full
        goes_on_after_it_had_no_room;
    postgres: goes_on_after_its_disk_was_full;
    rabbitmq: lets_in_who_shows_the_password refuses_what_is_too_large_alone goes_on_after_its_disk_was_full
        gives_all_while_its_alarm_is_on;
    redis: lets_in_who_shows_the_password goes_on_after_its_disk_was_full goes_on_after_it_had_no_room;
}

const PASSWORD: &str = "word-of-this-run";
const WRONG: &str = "word-of-another";

/// How soon one that did not let us in is asked again, at most.
const REFUSED_FOR: Duration = Duration::from_millis(100);

async fn lets_in_who_shows_the_password(mut rig: Rig) {
    let counted = Counted::new(&rig.server.address).await;
    let place = Place { password: Some(PASSWORD.to_owned()), ..rig.server.place() };
    rig.server.start_in(&place).await;
    let client = |who: &str| {
        rig.adapter.open(&format!("{who}{}", counted.address), Settings::default()).unwrap()
    };
    rig.broker = client(&format!("{USER}:{PASSWORD}@"));
    rig.publish_patiently("a friend's").await;
    meet(&*rig.subscribe().await, ["a friend's".to_owned()].into()).await;
    for who in [format!("{USER}:{WRONG}@"), format!("{WRONG}:{PASSWORD}@"), String::new()] {
        let (before, begun) = (counted.connections(), Instant::now());
        let broker = client(&who);
        for text in refusals(&*broker).await {
            let form = format!("{}://USER:PASSWORD@HOST:PORT", rig.adapter.scheme);
            let place = format!("{} at {}", rig.adapter.scheme, counted.address);
            assert!(text.starts_with(&place) && text.contains(&form), "{text}");
            assert!(!text.contains(PASSWORD) && !text.contains(WRONG), "{text}");
            assert_eq!(unready(&broker).await, text);
        }
        let most = 2 + begun.elapsed().as_millis() / REFUSED_FOR.as_millis();
        let made = counted.connections() - before;
        assert!((1..=most).contains(&(made as u128)), "{made} connections, at most {most}");
    }
}

/// What many callers are told.
async fn refusals(broker: &dyn Broker) -> BTreeSet<String> {
    let publish = |number: usize| broker.publish(TOPIC, message(number));
    let published = join_all((0..100).map(publish)).await;
    let subscribed = broker.subscribe(TOPIC, SubscribeOptions::default()).await.map(drop);
    let text = |outcome| match outcome {
        Err(Error::Invalid(text)) => text,
        other => panic!("expected Invalid, found {other:?}"),
    };
    published.into_iter().chain([subscribed]).map(text).collect()
}

/// What is told of it to whoever asks whether it is ready.
async fn unready(broker: &Arc<dyn Broker>) -> String {
    let settings = http_server::Settings::default();
    let door =
        Door::new(Arc::new(Afar::new(Arc::clone(broker))), Guard::from_environment(), settings);
    let asked = http::Request::get("/readyz").body(Bytes::new()).unwrap();
    let answer = door.handle(asked).await;
    assert_eq!(answer.status(), http::StatusCode::SERVICE_UNAVAILABLE);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    body["detail"].as_str().unwrap().to_owned()
}

/// Bytes that a server is told to take at most.
const LARGEST: usize = 16 * 1024;

fn of_size(key: &str, bytes: usize) -> Message {
    Message { payload: Bytes::from(vec![7; bytes]), ..message(key) }
}

/// How a server is told so.
fn takes_at_most(scheme: &str) -> String {
    match scheme {
        "kafka" => format!("message.max.bytes={LARGEST}"),
        "nats" => format!("max_payload: {LARGEST}"),
        "rabbitmq" => format!("max_message_size = {LARGEST}"),
        _ => unreachable!("{scheme}"),
    }
}

async fn refuses_what_is_too_large_alone(mut rig: Rig) {
    let also = vec![takes_at_most(rig.adapter.scheme)];
    rig.server.start_in(&Place { also, ..rig.server.place() }).await;
    rig.publish_patiently("first").await;
    let consumer = rig.subscribe().await;
    let keys: BTreeSet<String> = (0..64).map(|number| number.to_string()).collect();
    let small = async {
        for keys in keys.iter().collect::<Vec<_>>().chunks(16) {
            join_all(keys.iter().map(|key| rig.publish_patiently(key))).await;
        }
    };
    let large = async {
        for number in 0..8 {
            let large = of_size(&format!("large-{number}"), LARGEST + 1);
            let refused = rig.broker.publish(TOPIC, large).await;
            assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        }
    };
    within(futures_util::future::join(small, large)).await;
    rig.broker.publish(TOPIC, of_size("nearly", LARGEST - 1_024)).await.unwrap();
    let owed = ["first", "nearly"].map(str::to_owned);
    meet(&*consumer, keys.into_iter().chain(owed).collect()).await;
    let depth = rig.broker.depth(TOPIC).await.unwrap();
    assert_eq!(depth.ready + depth.leased + depth.dead, 0, "{depth:?}");
}

/// Publishes what is large until that is refused; returns what was not, and the refusal.
async fn fill(broker: &dyn Broker, bytes: usize, most: usize) -> (BTreeSet<String>, String) {
    let mut kept = BTreeSet::new();
    for number in 0..most {
        let key = format!("{bytes}-{number}");
        let begun = Instant::now();
        let outcome = within(broker.publish(TOPIC, of_size(&key, bytes))).await;
        assert!(begun.elapsed() < PATIENCE, "it waited for {:?}", begun.elapsed());
        match outcome {
            Ok(()) => kept.insert(key),
            Err(Error::Unavailable(text)) => return (kept, text),
            Err(other) => panic!("{other}"),
        };
    }
    panic!("{most} times {bytes} bytes fit")
}

/// MiB of a disk that has room for any of these servers, and little more.
const DISK_MIB: u32 = 256;
const LARGE: usize = 40 * 1024;
/// Those that end when their disk is full, or are of no use afterwards, until they are started again.
const RESTARTED: &[&str] = &["kafka", "nats", "rabbitmq", "redis"];

async fn goes_on_after_its_disk_was_full(mut rig: Rig) {
    let Some(disk) = SmallDisk::at(&rig.server.place().data, DISK_MIB) else { return };
    rig.server.start().await;
    rig.publish_patiently("first").await;
    let consumer = rig.subscribe().await;
    disk.fill_but(2);
    let (mut owed, why) = fill(&*rig.broker, LARGE, 10_000).await;
    assert!(why.contains(&rig.server.address), "{why}");
    disk.empty();
    if RESTARTED.contains(&rig.adapter.scheme) {
        rig.kill().await;
        rig.server.start().await;
    }
    rig.publish_patiently("after").await;
    owed.extend(["first", "after"].map(str::to_owned));
    meet(&*consumer, owed).await;
}

/// Fresh clients find their queues, what is kept is taken and done, and then there is room.
async fn goes_on_after_it_had_no_room(mut rig: Rig) {
    // Redis counts its memory; NATS takes three quarters of the disk that it finds.
    let also =
        if rig.adapter.scheme == "redis" { vec!["maxmemory 4mb".to_owned()] } else { Vec::new() };
    let disk = also.is_empty().then(|| SmallDisk::at(&rig.server.place().data, 64));
    if disk.as_ref().is_some_and(Option::is_none) {
        return;
    }
    rig.server.start_in(&Place { also, ..rig.server.place() }).await;
    rig.publish_patiently("first").await;
    let (mut owed, why) = fill(&*rig.broker, LARGE, 10_000).await;
    assert!(why.contains(&rig.server.address), "{why}");
    owed.extend(fill(&*rig.broker, 1, 100_000).await.0);
    rig.broker = rig.adapter.open(&rig.server.address, Settings::default()).unwrap();
    let consumer = rig.subscribe().await;
    owed.insert("first".to_owned());
    meet(&*consumer, owed).await;
    rig.publish_patiently("after").await;
    meet(&*consumer, ["after".to_owned()].into()).await;
}

/// RabbitMQ reads no more from who publishes while it is short of memory or disk: who publishes is told, and who
/// consumes is not disturbed.
async fn gives_all_while_its_alarm_is_on(mut rig: Rig) {
    let Some(disk) = SmallDisk::at(&rig.server.place().data, DISK_MIB) else { return };
    rig.server.start().await;
    rig.publish_patiently("first").await;
    // Its limit is 50.
    disk.fill_but(40);
    let (mut owed, why) = fill(&*rig.broker, 1, 100_000).await;
    assert!(why.contains("short of memory or of disk"), "{why}");
    let begun = Instant::now();
    for _ in 0..100 {
        let refused = rig.broker.publish(TOPIC, message("refused")).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    }
    assert!(begun.elapsed() < PATIENCE, "once it is known it is told at once");
    owed.insert("first".to_owned());
    let consumer = rig.subscribe().await;
    meet(&*consumer, owed).await;
    disk.empty();
    rig.publish_patiently("after").await;
    meet(&*consumer, ["after".to_owned()].into()).await;
}

/// Ours, in this process, with its log in this folder.
async fn embedded(folder: &Path) -> Arc<dyn Broker> {
    let queue = Queue::open(&folder.join("broker.log"), Options::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("embedded://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, Arc::new(queue), pending()));
    brokers::connect(&url).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_broker_goes_on_after_its_disk_was_full() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::at(folder.path(), 64) else { return };
    let broker = embedded(folder.path()).await;
    publish_patiently(&*broker, "first").await;
    disk.fill_but(2);
    let (mut owed, why) = fill(&*broker, LARGE, 10_000).await;
    assert!(why.contains("full"), "{why}");
    disk.empty();
    publish_patiently(&*broker, "after").await;
    owed.extend(["first", "after"].map(str::to_owned));
    let consumer = broker.subscribe(TOPIC, SubscribeOptions::default()).await.unwrap();
    meet(&*consumer, owed).await;
}

/// Its disk stays full. What is there can be taken and done, and what is done makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_broker_gives_all_while_its_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::at(folder.path(), 64) else { return };
    let broker = embedded(folder.path()).await;
    publish_patiently(&*broker, "first").await;
    let mut owed: BTreeSet<String> = ["first".to_owned()].into();
    for number in 0..500 {
        let key = number.to_string();
        broker.publish(TOPIC, of_size(&key, LARGE)).await.unwrap();
        owed.insert(key);
    }
    disk.fill();
    let (more, why) = fill(&*broker, LARGE, 10_000).await;
    assert!(why.contains("full"), "{why}");
    owed.extend(more);
    let consumer = broker.subscribe(TOPIC, SubscribeOptions::default()).await.unwrap();
    meet(&*consumer, owed).await;
    for round in 0..3 {
        let keys: BTreeSet<String> = (0..300).map(|number| format!("{round}-{number}")).collect();
        for key in &keys {
            // What was done a moment ago makes room with the next commit.
            within(async {
                while let Err(error) = broker.publish(TOPIC, of_size(key, LARGE)).await {
                    assert!(matches!(error, Error::Unavailable(_)), "{error}");
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        meet(&*consumer, keys).await;
    }
}

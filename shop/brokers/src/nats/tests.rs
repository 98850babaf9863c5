//! That a delivery is its owner's alone, and that what is tried again is there once.

use super::*;
use crate::Error;
use crate::engine::Handle;
use crate::engine::rig::{DEADLINE, QUEUE, append, begun, taken, what_another_has_taken_is_fenced};
use crate::server::Server;

const LEASE: Duration = Duration::from_millis(200);

/// A server, and its engine once it answers; none if it is not installed.
async fn rig() -> Option<(Server, Nats)> {
    let settings = Settings { lease: LEASE, ..Settings::default() };
    begun("nats", &settings, |address| Nats::new(address, &settings).unwrap()).await
}

#[tokio::test]
async fn what_another_has_taken_is_fenced_although_it_is_still_there() {
    let Some((_server, engine)) = rig().await else { return };
    what_another_has_taken_is_fenced(&engine, LEASE).await;
}

#[tokio::test]
async fn what_is_published_again_under_its_identity_is_there_once() {
    let Some((_server, engine)) = rig().await else { return };
    for _ in 0..2 {
        engine.streams.publish(QUEUE, "one", Bytes::from_static(b"body")).await.unwrap();
    }
    assert_eq!(engine.count(QUEUE).await, Ok(Count { waiting: 1, taken: 0 }));
}

#[tokio::test]
async fn a_consumer_that_is_gone_takes_no_acknowledgement() {
    let Some((_server, engine)) = rig().await else { return };
    assert!(append(&engine, b"body", 1).await);
    let source = engine.source(QUEUE, DEADLINE).await.unwrap();
    let handle = taken(&*source).await.handle;
    let gone = format!("CONSUMER.DELETE.{QUEUE}.{CONSUMER}");
    engine.streams.manage(gone, &Value::Null).await.unwrap();
    let told = source.forget(&handle).await;
    assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
}

#[tokio::test]
async fn streams_that_were_lost_are_declared_again() {
    let Some((_server, engine)) = rig().await else { return };
    let source = engine.source(QUEUE, DEADLINE).await.unwrap();
    engine.streams.manage(format!("STREAM.DELETE.{QUEUE}"), &Value::Null).await.unwrap();
    assert!(append(&engine, b"body", 1).await);
    taken(&*source).await;
}

#[test]
fn a_delivery_tells_its_times_by_either_name() {
    let times = |name: &'static str| taker::deliveries(&Handle::from_static(name.as_bytes()));
    assert_eq!(times("$JS.ACK.stream.triptych.3.7.9.1700000000000000000.0"), Some(3));
    assert_eq!(times("$JS.ACK._.ACCOUNT.stream.triptych.4.7.9.1700000000000000000.0"), Some(4));
    assert_eq!(times("_INBOX.x"), None);
}

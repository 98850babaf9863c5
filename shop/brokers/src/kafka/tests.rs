//! That a delivery is its owner's alone, and what Kafka would forget is not lost.

use std::time::Duration;

use super::*;
use crate::engine::rig::{QUEUE, append, begun, bound, taken};
use crate::server::Server;

const LEASE: Duration = Duration::from_secs(4);

/// A server, and its engine once it answers; none if it is not installed.
async fn rig() -> Option<(Server, Kafka)> {
    let settings = Settings { lease: LEASE, ..Settings::default() };
    begun("kafka", &settings, |address| Kafka::new(address, true)).await
}

#[tokio::test]
async fn what_another_has_taken_is_fenced_although_it_is_still_there() {
    let Some((_server, engine)) = rig().await else { return };
    assert!(append(&engine, b"body", 10).await);
    let zombie = engine.source(QUEUE, LEASE * 60).await.unwrap();
    let heir = engine.source(QUEUE, LEASE).await.unwrap();
    // It believes in a longer lease than the queue has: the broker is who knows better.
    let old = taken(&*zombie).await.handle;
    assert_eq!(heir.forget(&old).await, Err(Error::Fenced), "it is not the owner");
    let new = taken(&*heir).await;
    assert!(new.silent.is_some());
    let anew = Bytes::from_static(b"anew");
    assert_eq!(zombie.forget(&old).await, Err(Error::Fenced));
    assert_eq!(zombie.forward(&old, QUEUE, anew).await, Err(Error::Fenced));
    assert_eq!(zombie.extend(&[old]).await, Ok(vec![false]));
    assert_eq!(engine.count(QUEUE).await.map(|count| count.waiting), Ok(1));
    assert_eq!(heir.forget(&new.handle).await, Ok(()));
    assert_eq!(engine.count(QUEUE).await, Ok(Count::default()));
}

#[tokio::test]
async fn a_settlement_does_not_wait_for_a_take_and_one_that_is_fenced_harms_no_other() {
    let Some((_server, engine)) = rig().await else { return };
    for body in [&b"a"[..], b"b", b"c"] {
        assert!(engine.append(QUEUE, Bytes::from_static(body), &bound(10)).await.unwrap());
    }
    let source = engine.source(QUEUE, LEASE).await.unwrap();
    let mut handles = Vec::new();
    while handles.len() < 3 {
        handles.push(taken(&*source).await.handle);
    }
    source.forget(&handles[1]).await.unwrap();
    let begun = Instant::now();
    let (none, held) = tokio::join!(source.take(1, LEASE), async {
        let held = source.extend(&handles).await;
        (held, begun.elapsed())
    });
    assert_eq!(held.0, Ok(vec![true, false, true]));
    assert!(held.1 < LEASE / 2, "it waited for {:?}", held.1);
    assert!(none.unwrap().len() <= 1);
}

#[tokio::test]
async fn what_kafka_would_forget_is_delivered_again_and_again() {
    let Some((server, engine)) = rig().await else { return };
    assert!(append(&engine, b"body", 10).await);
    for _ in 0..DELIVERIES_MAX + 2 {
        // Each of these ends without a word: its connection does, so that nothing waits for a lock to end.
        let other = Kafka::new(&server.address, true).source(QUEUE, LEASE).await.unwrap();
        assert_eq!(taken(&*other).await.body, "body");
    }
    assert_eq!(engine.count(QUEUE).await.map(|count| count.waiting), Ok(1));
}

#[tokio::test]
async fn who_comes_before_a_share_is_begun_is_not_refused() {
    let Some((_server, engine)) = rig().await else { return };
    let first = |number: usize| {
        let engine = &engine;
        async move {
            let queue = format!("{QUEUE}.{number}");
            engine.declare(&queue, &Settings::default()).await.unwrap();
            engine.append(&queue, Bytes::from_static(b"body"), &bound(10)).await.unwrap();
            let source = engine.source(&queue, LEASE).await.unwrap();
            source.take(1, LEASE).await.map(drop)
        }
    };
    // Many at once: of one alone the group is mostly in time.
    let taken = futures_util::future::join_all((0..24).map(first)).await;
    assert_eq!(taken, vec![Ok(()); 24]);
}

//! That a delivery is its owner's alone, also before whoever has it next has moved it on.

use std::time::Duration;

use tokio::time::sleep;

use super::*;
use crate::engine::rig::{QUEUE, append, begun, taken, what_another_has_taken_is_fenced};
use crate::server::Server;

const LEASE: Duration = Duration::from_millis(50);

/// A server, and its engine once it answers; none if it is not installed.
async fn rig() -> Option<(Server, Redis)> {
    begun("redis", &Settings::default(), |address| Redis {
        line: Arc::new(Line::new(address, true).unwrap()),
    })
    .await
}

#[tokio::test]
async fn what_another_has_taken_is_fenced_although_it_is_still_there() {
    let Some((_server, engine)) = rig().await else { return };
    what_another_has_taken_is_fenced(&engine, LEASE).await;
}

#[tokio::test]
async fn who_takes_again_what_it_lost_itself_is_fenced_by_the_count() {
    let Some((_server, engine)) = rig().await else { return };
    assert!(append(&engine, b"body", 1).await);
    let source = engine.source(QUEUE, LEASE).await.unwrap();
    let (old, new) = (taken(&*source).await.handle, taken(&*source).await.handle);
    assert_eq!(source.forget(&old).await, Err(Error::Fenced));
    assert_eq!(source.forget(&new).await, Ok(()));
}

/// Else a last attempt whose consumer crashed would be made again.
#[tokio::test]
async fn silence_is_not_told_to_be_longer_than_it_was() {
    let Some((server, engine)) = rig().await else { return };
    assert!(append(&engine, b"body", 1).await);
    // Whose answers come late hides a millisecond.
    let mut quick = cmd("CONFIG");
    quick.arg("SET").arg("appendfsync").arg("no");
    engine.line.ask(&quick).await.map_err(Refusal::meaning).unwrap();
    let lease = Duration::from_millis(3);
    let line = Arc::new(Line::new(&server.address, false).unwrap());
    let source = Redis { line }.source(QUEUE, lease).await.unwrap();
    let mut asked = Instant::now();
    assert!(source.take(1, Duration::ZERO).await.unwrap()[0].silent.is_none());
    for round in 0..300 {
        // Each round at another part of a millisecond.
        sleep(lease + Duration::from_micros(1_000 + 370 * (round % 10))).await;
        let again = Instant::now();
        let taken = source.take(1, Duration::ZERO).await.unwrap();
        let (silent, passed) = (taken[0].silent.unwrap(), asked.elapsed());
        assert!(silent <= passed, "{silent:?} of {passed:?}");
        asked = again;
    }
}

/// Else what fills its memory could not be taken by who comes later.
#[tokio::test]
async fn a_queue_that_is_there_is_found_while_there_is_no_memory() {
    let Some((_server, engine)) = rig().await else { return };
    let mut full = cmd("CONFIG");
    full.arg("SET").arg("maxmemory").arg("1");
    engine.line.ask(&full).await.map_err(Refusal::meaning).unwrap();
    assert!(matches!(declare(&engine.line, "another").await, Err(Error::Unavailable(_))));
    assert_eq!(declare(&engine.line, QUEUE).await, Ok(()));
}

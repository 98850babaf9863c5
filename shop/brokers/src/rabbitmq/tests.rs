//! That a delivery is its owner's alone, and what becomes of those that nobody was handed.

use super::*;
use crate::Error;
use crate::engine::Handle;
use crate::engine::rig::{DEADLINE, QUEUE, append, begun, taken};
use crate::server::Server;

const LEASE: Duration = Duration::from_millis(200);

/// A server, and its engine once it answers; none if it is not installed.
async fn rig() -> Option<(Server, Rabbit)> {
    begun("rabbitmq", &Settings::default(), |address| Rabbit::new(Kind::Quorum, address, LEASE))
        .await
}

#[tokio::test]
async fn what_was_let_go_is_fenced_although_it_is_still_there() {
    let Some((_server, engine)) = rig().await else { return };
    assert!(append(&engine, b"body", 9).await);
    let source = engine.source(QUEUE, LEASE).await.unwrap();
    let old = taken(&*source).await;
    let new = taken(&*source).await;
    assert_eq!((old.silent, new.silent), (None, Some(Duration::ZERO)));
    assert_eq!(source.forget(&old.handle).await, Err(Error::Fenced));
    assert_eq!(source.extend(&[old.handle, new.handle.clone()]).await, Ok(vec![false, true]));
    assert_eq!(engine.count(QUEUE).await, Ok(Count { waiting: 0, taken: 1 }));
    assert_eq!(source.forget(&new.handle).await, Ok(()));
    assert_eq!(engine.count(QUEUE).await, Ok(Count::default()));
    assert_eq!(source.forget(&Handle::from_static(b"foreign")).await, Err(Error::Fenced));
}

#[tokio::test]
async fn what_a_source_was_sent_and_nobody_took_is_as_if_it_had_never_been_sent() {
    let Some((_server, engine)) = rig().await else { return };
    let source = engine.source(QUEUE, DEADLINE).await.unwrap();
    // It may be sent two, and is asked for one.
    assert!(source.take(2, LEASE / 3).await.unwrap().is_empty());
    assert!(append(&engine, b"body", 9).await);
    assert!(append(&engine, b"body", 9).await);
    taken(&*source).await;
    assert_eq!(engine.count(QUEUE).await, Ok(Count { waiting: 0, taken: 2 }));
    drop(source);
    let heir = engine.source(QUEUE, DEADLINE).await.unwrap();
    let mut silent = [taken(&*heir).await.silent, taken(&*heir).await.silent];
    silent.sort();
    assert_eq!(silent, [None, Some(Duration::ZERO)], "one was delivered, one was not");
}

#[tokio::test]
async fn who_looks_leaves_all_where_it_is() {
    let Some((_server, engine)) = rig().await else { return };
    for _ in 0..3 {
        assert!(append(&engine, b"body", 9).await);
    }
    for _ in 0..3 {
        assert_eq!(engine.look(QUEUE, 2).await.unwrap().len(), 2);
        assert_eq!(engine.look(QUEUE, 9).await.unwrap().len(), 3);
    }
}

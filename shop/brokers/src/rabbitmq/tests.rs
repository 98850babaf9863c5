//! That a delivery is its owner's alone, and what becomes of those that nobody was handed.

use tokio::time::timeout;

use super::*;
use crate::Error;
use crate::engine::{Handle, Taken};
use crate::server::{self, Server};

const QUEUE: &str = "queue";
const LEASE: Duration = Duration::from_millis(200);
const DEADLINE: Duration = Duration::from_secs(60);

/// A server, and its engine once it answers; none if it is not installed.
async fn rig() -> Option<(Server, Rabbit)> {
    let mut server = Server::away(server::installed("rabbitmq")?);
    server.start().await;
    let engine = Rabbit::new(Kind::Quorum, &server.address, LEASE);
    let declared = async {
        while engine.declare(QUEUE, &Settings::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, declared).await.unwrap();
    Some((server, engine))
}

async fn append(engine: &Rabbit) {
    let bound = Bound { most: 9, queues: vec![QUEUE.to_owned()] };
    assert!(engine.append(QUEUE, Bytes::from_static(b"body"), &bound).await.unwrap());
}

async fn taken(source: &dyn Source) -> Taken {
    timeout(DEADLINE, async {
        loop {
            if let Some(taken) = source.take(1, LEASE / 3).await.unwrap().into_iter().next() {
                return taken;
            }
        }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn what_was_let_go_is_fenced_although_it_is_still_there() {
    let Some((_server, engine)) = rig().await else { return };
    append(&engine).await;
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
    append(&engine).await;
    append(&engine).await;
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
        append(&engine).await;
    }
    for _ in 0..3 {
        assert_eq!(engine.look(QUEUE, 2).await.unwrap().len(), 2);
        assert_eq!(engine.look(QUEUE, 9).await.unwrap().len(), 3);
    }
}

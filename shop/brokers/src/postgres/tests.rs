//! That a delivery is its owner's alone, also before whoever has it next has moved it on.

use super::*;
use crate::server::{self, Server};

const QUEUE: &str = "queue";
const LEASE: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(20);

/// A server, and its engine once it answers; none if it is not installed.
async fn rig() -> Option<(Server, Postgres)> {
    let mut server = Server::away(server::installed("postgres")?);
    server.start().await;
    let engine = Postgres::new(Target::parse(&server.address).unwrap());
    let declared = async {
        while engine.declare(QUEUE, &Settings::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, declared).await.unwrap();
    let bound = Bound { most: 1, queues: vec![QUEUE.to_owned()] };
    assert!(engine.append(QUEUE, Bytes::from_static(b"body"), &bound).await.unwrap());
    assert!(!engine.append(QUEUE, Bytes::from_static(b"more"), &bound).await.unwrap());
    Some((server, engine))
}

async fn taken(source: &dyn Source) -> Handle {
    timeout(DEADLINE, async {
        loop {
            if let Some(taken) = source.take(1, LEASE / 3).await.unwrap().into_iter().next() {
                return taken.handle;
            }
        }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn what_another_has_taken_is_fenced_although_it_is_still_there() {
    let Some((_server, engine)) = rig().await else { return };
    let [zombie, heir] =
        [engine.source(QUEUE, LEASE).await.unwrap(), engine.source(QUEUE, LEASE).await.unwrap()];
    let old = taken(&*zombie).await;
    let new = taken(&*heir).await;
    let anew = Bytes::from_static(b"anew");
    assert_eq!(zombie.forget(&old).await, Err(Error::Fenced));
    assert_eq!(zombie.forward(&old, QUEUE, anew).await, Err(Error::Fenced));
    assert_eq!(zombie.extend(&[old, new.clone()]).await, Ok(vec![false, true]));
    assert_eq!(engine.count(QUEUE).await, Ok(Count { waiting: 0, taken: 1 }));
    assert_eq!(heir.forget(&new).await, Ok(()));
    assert_eq!(heir.forget(&new).await, Err(Error::Fenced), "it is gone");
    assert_eq!(engine.count(QUEUE).await, Ok(Count::default()));
}

#[tokio::test]
async fn who_takes_again_what_it_lost_itself_is_fenced() {
    let Some((_server, engine)) = rig().await else { return };
    let source = engine.source(QUEUE, LEASE).await.unwrap();
    let (old, new) = (taken(&*source).await, taken(&*source).await);
    assert_eq!(source.forget(&old).await, Err(Error::Fenced));
    assert_eq!(source.forward(&new, "further", Bytes::from_static(b"anew")).await, Ok(()));
    assert_eq!(engine.count("further").await, Ok(Count { waiting: 1, taken: 0 }));
    assert_eq!(engine.look("further", 9).await, Ok(vec![Bytes::from_static(b"anew")]));
}

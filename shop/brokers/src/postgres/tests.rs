//! That a delivery is its owner's alone, also before whoever has it next has moved it on.

use super::*;
use crate::engine::rig::{QUEUE, append, begun, taken};
use crate::server::Server;

const LEASE: Duration = Duration::from_millis(50);

/// A server, and its engine once it answers; none if it is not installed.
async fn rig() -> Option<(Server, Postgres)> {
    let (server, engine) = begun("postgres", &Settings::default(), |address| {
        Postgres::new(Target::parse(address).unwrap())
    })
    .await?;
    assert!(append(&engine, b"body", 1).await);
    assert!(!append(&engine, b"more", 1).await);
    Some((server, engine))
}

#[tokio::test]
async fn what_another_has_taken_is_fenced_although_it_is_still_there() {
    let Some((_server, engine)) = rig().await else { return };
    let [zombie, heir] =
        [engine.source(QUEUE, LEASE).await.unwrap(), engine.source(QUEUE, LEASE).await.unwrap()];
    let old = taken(&*zombie).await.handle;
    let new = taken(&*heir).await.handle;
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
    let (old, new) = (taken(&*source).await.handle, taken(&*source).await.handle);
    assert_eq!(source.forget(&old).await, Err(Error::Fenced));
    assert_eq!(source.forward(&new, "further", Bytes::from_static(b"anew")).await, Ok(()));
    assert_eq!(engine.count("further").await, Ok(Count { waiting: 1, taken: 0 }));
    assert_eq!(engine.look("further", 9).await, Ok(vec![Bytes::from_static(b"anew")]));
}

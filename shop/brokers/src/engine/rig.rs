//! What the tests of engines share: a server that answers, and a delivery.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{Bound, Count, Engine, Source, Taken};
use crate::server::{self, Server};
use crate::{Error, Settings};

pub(crate) const QUEUE: &str = "queue";
/// A server that runs on Java or Erlang may take most of it on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// The server of this name, and its engine once it has made the queue; none if it is not installed.
pub(crate) async fn begun<E: Engine>(
    name: &str,
    settings: &Settings,
    engine: impl FnOnce(&str) -> E,
) -> Option<(Server, E)> {
    let mut server = Server::away(server::installed(name)?);
    server.start().await;
    let engine = engine(&server.address);
    let declared = async {
        while engine.declare(QUEUE, settings).await.is_err() {
            tokio::time::sleep(POLL).await;
        }
    };
    let declared = timeout(DEADLINE, declared).await;
    declared.unwrap_or_else(|_| panic!("its server said: {}", server.place().said()));
    Some((server, engine))
}

/// A bound of the queue alone.
pub(crate) fn bound(most: u64) -> Bound {
    Bound { most, queues: vec![QUEUE.to_owned()] }
}

/// Adds a body; tells whether the bound let it.
pub(crate) async fn append(engine: &dyn Engine, body: &'static [u8], most: u64) -> bool {
    engine.append(QUEUE, Bytes::from_static(body), &bound(most)).await.unwrap()
}

/// The next delivery.
pub(crate) async fn taken(source: &dyn Source) -> Taken {
    timeout(DEADLINE, async {
        loop {
            if let Some(taken) = source.take(1, POLL * 4).await.unwrap().into_iter().next() {
                return taken;
            }
        }
    })
    .await
    .unwrap()
}

/// What one consumer lost to another is not his any more, although it is still there.
pub(crate) async fn what_another_has_taken_is_fenced(engine: &dyn Engine, lease: Duration) {
    assert!(append(engine, b"body", 1).await);
    let [zombie, heir] =
        [engine.source(QUEUE, lease).await.unwrap(), engine.source(QUEUE, lease).await.unwrap()];
    let old = taken(&*zombie).await.handle;
    assert_eq!(heir.forget(&old).await, Err(Error::Fenced), "it is not the owner");
    let new = taken(&*heir).await.handle;
    let anew = Bytes::from_static(b"anew");
    assert_eq!(zombie.forget(&old).await, Err(Error::Fenced));
    assert_eq!(zombie.forward(&old, QUEUE, anew).await, Err(Error::Fenced));
    assert_eq!(zombie.extend(&[old]).await, Ok(vec![false]));
    assert_eq!(heir.extend(std::slice::from_ref(&new)).await, Ok(vec![true]));
    assert_eq!(engine.count(QUEUE).await, Ok(Count { waiting: 0, taken: 1 }));
    assert_eq!(heir.forget(&new).await, Ok(()));
    assert_eq!(engine.count(QUEUE).await, Ok(Count::default()));
}

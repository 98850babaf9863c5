//! That a delivery is its owner's alone, also before whoever has it next has moved it on.

use servers::Place;
use tokio::time::sleep;

use super::*;
use crate::engine::rig::{DEADLINE, QUEUE, append, begun, taken};
use crate::server::{self, Server};

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

/// A URL has no place for it, so a client is made by hand.
#[tokio::test]
async fn who_has_not_the_password_is_told_where_it_belongs() {
    const PASSWORD: &str = "word-of-this-run";
    const WRONG: &str = "word-of-another";
    let Some(recipe) = server::installed("postgres") else { return };
    let mut server = Server::away(recipe);
    let place = Place { password: Some(PASSWORD.to_owned()), ..server.place() };
    server.start_in(&place).await;
    let target = Target::parse(&server.address).unwrap();
    let friend = Postgres::new(target.clone().password(PASSWORD));
    let let_in = async {
        while friend.declare(QUEUE, &Settings::default()).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, let_in).await.unwrap();
    for stranger in [target.clone().password(WRONG), target] {
        let refused = Postgres::new(stranger).declare(QUEUE, &Settings::default()).await;
        let Err(Error::Invalid(text)) = refused else { panic!("{refused:?}") };
        assert!(text.contains(&server.address), "{text}");
        assert!(text.contains("TRIPTYCH_DATABASE_PASSWORD"), "{text}");
        assert!(!text.contains(PASSWORD) && !text.contains(WRONG), "{text}");
    }
}

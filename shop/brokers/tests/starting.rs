//! What a start says when it cannot go on.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::future::pending;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use brokers::embedded::{Client, Options, Queue, serve};
use brokers::{Error, Received, SubscribeOptions, Topic, Trouble};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

#[track_caller]
fn fails(flags: &[&str], expected: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_broker")).args(flags).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in expected {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_start_that_fails_says_why_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let good = format!("log:{}", dir.path().join("broker.log").display());
    fails(&["--listen=0.0.0.0:0", "--store", &good], &["0.0.0.0:0", "loopback"]);
    fails(&["--listen=127.0.0.1:0", "--http=0.0.0.0:0", "--store", &good], &["--http", "loopback"]);
    let nowhere = format!("log:{}/no/such/broker.log", dir.path().display());
    fails(&["--listen=127.0.0.1:0", "--store", &nowhere], &["--store", "no/such/broker.log"]);
}

#[test]
fn a_file_has_one_broker_and_is_a_broker_s() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker.log");
    let queue = Queue::open(&path, Options::default()).unwrap();
    let store = format!("log:{}", path.display());
    fails(
        &["--listen=127.0.0.1:0", "--store", &store],
        &["broker.log", "in use by another process"],
    );
    drop(queue);
    let foreign = dir.path().join("foreign.db");
    let shop = group_commit::rusqlite::Connection::open(&foreign).unwrap();
    shop.execute_batch("create table orders (n integer)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    let store = format!("log:{}", foreign.display());
    fails(&["--listen=127.0.0.1:0", "--store", &store], &["foreign.db is no file of this broker"]);
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
}

#[tokio::test]
async fn an_unknown_scheme_is_told_the_known_ones() {
    for url in ["pulsar://localhost:6650", "localhost:7400", "", "channel://x"] {
        let Err(Error::Invalid(text)) = brokers::connect(url) else { panic!("{url}") };
        assert!(text.contains("embedded://HOST:PORT") && text.contains("channel:"), "{text}");
    }
    assert!(brokers::connect("channel:").is_ok());
}

#[tokio::test]
async fn a_server_that_is_no_broker_is_told_from_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    let error = Client::connect(&address.to_string()).await.err().unwrap();
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    // Whoever would wait for a broker for ever is told, too.
    let topic = Topic::<u32>::new(brokers::connect(&format!("embedded://{address}")).unwrap(), "t");
    let consumed = topic.consume(SubscribeOptions::default(), pending(), |_| async { Ok(()) });
    assert!(matches!(consumed.await, Err(Error::Protocol(_))));
}

#[tokio::test]
async fn a_broker_that_comes_later_is_waited_for() {
    // A port that is free for now.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let broker = brokers::connect(&format!("embedded://{address}")).unwrap();
    let early = broker.depth("topic").await;
    assert!(matches!(early, Err(Error::Unavailable(_))), "{early:?}");
    let topic = Topic::<u32>::new(Arc::clone(&broker), "topic");
    let (seen, mut sees) = mpsc::channel(1);
    let consuming = tokio::spawn({
        let topic = topic.clone();
        async move {
            let handle = |received: Received<u32>| {
                let seen = seen.clone();
                async move {
                    seen.send(received.value).await.map_err(|e| Trouble::Failed(e.to_string()))
                }
            };
            topic.consume(SubscribeOptions::default(), pending(), handle).await
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let queue = Queue::open(&dir.path().join("broker.log"), Options::default()).unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(serve(listener, Arc::new(queue), pending()));
    while topic.publish("k", BTreeMap::new(), &7).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(timeout(DEADLINE, sees.recv()).await.unwrap(), Some(7));
    consuming.abort();
}

//! What a start says when it cannot go on.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

use brokers::Error;
use brokers::embedded::{Options, Queue};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

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
    let good = format!("sqlite:{}", dir.path().join("broker.db").display());
    fails(&["--listen=0.0.0.0:0", "--store", &good], &["0.0.0.0:0", "loopback"]);
    fails(&["--listen=127.0.0.1:0", "--http=0.0.0.0:0", "--store", &good], &["--http", "loopback"]);
    let nowhere = format!("sqlite:{}/no/such/broker.db", dir.path().display());
    fails(&["--listen=127.0.0.1:0", "--store", &nowhere], &["--store", "no/such/broker.db"]);
}

#[test]
fn a_file_has_one_broker_and_is_a_broker_s() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker.db");
    let queue = Queue::open(&path, Options::default()).unwrap();
    let store = format!("sqlite:{}", path.display());
    fails(
        &["--listen=127.0.0.1:0", "--store", &store],
        &["broker.db", "in use by another process"],
    );
    drop(queue);
    let foreign = dir.path().join("foreign.db");
    let shop = group_commit::rusqlite::Connection::open(&foreign).unwrap();
    shop.execute_batch("create table orders (n integer)").unwrap();
    let store = format!("sqlite:{}", foreign.display());
    fails(&["--listen=127.0.0.1:0", "--store", &store], &["foreign.db is no file of this broker"]);
}

async fn refused(url: &str) -> Error {
    match brokers::connect(url).await {
        Err(error) => error,
        Ok(_) => panic!("{url} is a broker"),
    }
}

#[tokio::test]
async fn an_unknown_scheme_is_told_the_known_ones() {
    for url in ["kafka://localhost:9092", "localhost:7400", "", "channel://x"] {
        let Error::Invalid(text) = refused(url).await else { panic!("{url}") };
        assert!(text.contains("embedded://HOST:PORT") && text.contains("channel:"), "{text}");
    }
    assert!(brokers::connect("channel:").await.is_ok());
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
    let error = refused(&format!("embedded://{address}")).await;
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
}

//! Out of file descriptors the server waits instead of spinning, and recovers. Alone in its file:
//! the limit that it sets is the process's.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_server::{Handler, Limits, serve};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        Response::new(request.into_body())
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

#[tokio::test]
async fn a_server_without_descriptors_waits_and_recovers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::new(Echo), Limits::default(), std::future::pending()));
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken.pop();
    // The kernel completes the connection; the one free descriptor is the client's.
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(File::open("/dev/null").is_err(), "there is a descriptor left");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let before = cpu();
    let early = timeout(Duration::from_millis(500), stream.read_to_string(&mut answer)).await;
    assert!(early.is_err(), "accepted without a descriptor: {answer}");
    let spent = cpu() - before;
    assert!(spent < Duration::from_millis(100), "{spent:?} of processor time in half a second");

    drop(taken);
    timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

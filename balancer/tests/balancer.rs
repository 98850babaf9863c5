//! What clients see of several replicas behind one address.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use balancer::{Backends, Check, Ejection, Limits, Patience, Policy, serve, watch};
use bytes::Bytes;
use http::{Request, Response};
use http_server::Handler;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_secs(20);

/// Answers with its name and what it was sent.
struct Named(&'static str);

#[async_trait]
impl Handler for Named {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let from = request.headers().get("x-forwarded-for").map_or("", |v| v.to_str().unwrap());
        let Self(name) = self;
        let mut body = format!("{name} {from} ").into_bytes();
        body.extend_from_slice(request.body());
        Response::new(body.into())
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn replica(name: &'static str) -> SocketAddr {
    let (listener, address) = listener().await;
    let limits = http_server::Limits::default();
    tokio::spawn(http_server::serve(listener, Arc::new(Named(name)), limits, pending()));
    address
}

/// One that does this with each connection; and how often a request came to it.
async fn odd<F>(then: fn(TcpStream) -> F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listener().await;
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut bytes = [0; 4_096];
                let read = stream.read(&mut bytes).await.unwrap_or(0);
                if bytes[..read].starts_with(b"GET /readyz") {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                } else if read > 0 {
                    counted.fetch_add(1, Ordering::Relaxed);
                    then(stream).await;
                }
            });
        }
    });
    (address, requests)
}

struct Rig {
    address: SocketAddr,
    backends: Arc<Backends>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

const CHECK_EVERY: Duration = Duration::from_millis(500);

impl Rig {
    /// In front of these, as soon as `up` of them are up.
    async fn of(replicas: &[SocketAddr], policy: Policy, up: usize) -> Self {
        let limits = Limits {
            clients: 64,
            idle: 8,
            idle_for: Duration::from_secs(20),
            connect: Duration::from_secs(1),
        };
        let ejection = Ejection { after: 3, lasts: Duration::from_secs(30) };
        let backends = Arc::new(Backends::new(replicas, policy, ejection, limits));
        let check = Check {
            path: "/readyz".to_owned(),
            every: CHECK_EVERY,
            within: CHECK_EVERY / 2,
            down_after: 2,
            up_after: 2,
        };
        for backend in backends.all() {
            tokio::spawn(watch(Arc::clone(backend), check.clone()));
        }
        let (listener, address) = listener().await;
        let (stop, stopped) = oneshot::channel();
        let patience = Patience {
            client: DEADLINE,
            replica: Duration::from_millis(300),
            elsewhere: 2,
            drain: DEADLINE,
        };
        let all = Arc::clone(&backends);
        let serving = tokio::spawn(async move {
            serve(listener, all, patience, async { drop(stopped.await) }).await;
        });
        let rig = Self { address, backends, stop: Some(stop), serving };
        rig.until(|rig| rig.up() == up).await;
        rig
    }

    fn up(&self) -> usize {
        self.backends.all().iter().filter(|backend| backend.is_up()).count()
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let waited = timeout(DEADLINE, async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        waited.await.unwrap();
    }

    async fn client(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), rest: Vec::new() }
    }
}

struct Client {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Client {
    async fn send(&mut self, text: &[u8]) {
        self.stream.write_all(text).await.unwrap();
    }

    /// Status, head and body of the next answer, whose length must be told.
    async fn answer(&mut self) -> (u16, String, Vec<u8>) {
        timeout(DEADLINE, self.read()).await.unwrap()
    }

    async fn read(&mut self) -> (u16, String, Vec<u8>) {
        loop {
            if let Some(end) = self.rest.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8(self.rest[..end + 2].to_vec()).unwrap();
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |l| l.parse().unwrap());
                if self.rest.len() >= end + 4 + length {
                    let body = self.rest[end + 4..end + 4 + length].to_vec();
                    self.rest.drain(..end + 4 + length);
                    return (head[9..12].parse().unwrap(), head, body);
                }
            }
            assert!(self.stream.read_buf(&mut self.rest).await.unwrap() > 0, "closed");
        }
    }

    async fn post(&mut self, body: &[u8]) -> (u16, Vec<u8>) {
        let head =
            format!("POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        self.send(head.as_bytes()).await;
        self.send(body).await;
        let (status, _, body) = self.answer().await;
        (status, body)
    }

    async fn is_closed(&mut self) -> bool {
        self.rest.is_empty()
            && timeout(DEADLINE, self.stream.read(&mut [0])).await.unwrap().unwrap_or(0) == 0
    }
}

fn who(body: &[u8]) -> String {
    String::from_utf8_lossy(body).split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn requests_of_one_connection_are_shared_out_and_brought_back_whole() {
    let rig = Rig::of(&[replica("a").await, replica("b").await], Policy::RoundRobin, 2).await;
    let mut client = rig.client().await;
    let mut count = BTreeMap::<String, usize>::new();
    for size in [0, 1, 1_000, 16_000, 3, 200] {
        let sent = vec![b'x'; size];
        let (status, body) = client.post(&sent).await;
        assert_eq!(status, 200);
        *count.entry(who(&body)).or_default() += 1;
        let head = format!("{} 127.0.0.1 ", who(&body));
        assert!(body == [head.as_bytes(), &sent].concat(), "{size}");
    }
    assert_eq!(count, [("a".to_owned(), 3), ("b".to_owned(), 3)].into());
    // Several at once, one of them in chunks.
    client.send(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\nPOST /2 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    assert_eq!(client.answer().await.0, 200);
    client
        .send(b"2\r\nde\r\n0\r\n\r\nHEAD /3 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert!(client.answer().await.2.ends_with(b" abcde"));
    let (status, head, _) = {
        let mut head = String::new();
        timeout(DEADLINE, client.stream.read_to_string(&mut head)).await.unwrap().unwrap();
        (head[9..12].to_owned(), head, ())
    };
    assert!(
        status == "200" && head.contains("connection: close") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn who_waits_for_a_word_before_the_body_gets_it() {
    let rig = Rig::of(&[replica("a").await], Policy::TwoChoices, 1).await;
    let mut client = rig.client().await;
    client
        .send(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.0, 100);
    client.send(b"ok").await;
    assert!(client.answer().await.2.ends_with(b" ok"));
}

#[tokio::test]
async fn of_whom_nothing_was_sent_is_served_by_another() {
    let (gone, address) = listener().await;
    let rig = Rig::of(&[replica("a").await, address], Policy::RoundRobin, 1).await;
    // It is up for a moment, and then nobody listens.
    let held = tokio::spawn(async move {
        let (mut stream, _) = gone.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    held.await.unwrap();
    rig.until(|rig| rig.up() == 2).await;
    let mut client = rig.client().await;
    for _ in 0..4 {
        let (status, body) = client.post(b"order").await;
        assert_eq!((status, who(&body).as_str()), (200, "a"));
    }
}

#[tokio::test]
async fn a_request_that_was_sent_is_never_repeated() {
    let (closes, asked) = odd(|stream| async move { drop(stream) }).await;
    let (silent, unanswered) = odd(|stream| async move {
        let _held = stream;
        pending::<()>().await;
    })
    .await;
    let rig = Rig::of(&[closes], Policy::RoundRobin, 1).await;
    let mut client = rig.client().await;
    assert_eq!(client.post(b"order").await.0, 502);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let rig = Rig::of(&[silent], Policy::RoundRobin, 1).await;
    let mut client = rig.client().await;
    assert_eq!(client.post(b"order").await.0, 504);
    assert_eq!(unanswered.load(Ordering::Relaxed), 1);
    assert!(rig.backends.all()[0].in_flight() == 0 && !rig.backends.all()[0].is_out());
}

#[tokio::test]
async fn who_fails_again_and_again_is_left_out_though_its_checks_succeed() {
    let (failing, asked) = odd(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let rig = Rig::of(&[failing, replica("a").await], Policy::RoundRobin, 2).await;
    let mut client = rig.client().await;
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(client.post(b"order").await.0 == 500);
    }
    assert_eq!((failed, asked.load(Ordering::Relaxed)), (3, 3));
    assert!(rig.backends.all()[0].is_up() && rig.backends.all()[0].is_out());
}

#[tokio::test]
async fn one_that_was_stopped_is_out_within_two_checks_though_its_kernel_takes_connections() {
    let (stops, address) = listener().await;
    let answering = tokio::spawn(async move {
        loop {
            let (mut stream, _) = stops.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            if let Ok(n) = stream.read(&mut [0; 256]).await
                && n > 0
            {
                return stops;
            }
        }
    });
    let rig = Rig::of(&[address, replica("a").await], Policy::RoundRobin, 2).await;
    let _nobody_accepts = answering.await.unwrap();
    let begun = Instant::now();
    rig.until(|rig| rig.up() == 1).await;
    // Two checks' time, and what the machine takes.
    assert!(begun.elapsed() < 4 * CHECK_EVERY, "{:?}", begun.elapsed());
    let mut client = rig.client().await;
    assert_eq!(client.post(b"order").await.0, 200);
}

#[tokio::test]
async fn without_a_replica_it_says_that_nothing_was_done() {
    let (listener, address) = listener().await;
    drop(listener);
    let rig = Rig::of(&[address], Policy::TwoChoices, 0).await;
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc").await;
        let (status, head, body) = client.answer().await;
        assert_eq!(status, 503);
        assert!(
            head.contains("x-effect: none\r\n") && head.contains("retry-after: 1\r\n"),
            "{head}"
        );
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["status"], 503);
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let rig = Rig::of(&[replica("a").await], Policy::TwoChoices, 1).await;
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    for bad in [
        "POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        "POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "\u{1}\u{2}\r\n\r\n",
        &long,
    ] {
        let mut client = rig.client().await;
        client.send(bad.as_bytes()).await;
        assert_eq!(client.answer().await.0, 400, "{bad:.60}");
        assert!(client.is_closed().await);
    }
    assert_eq!(rig.backends.all()[0].counts(), [0, 0, 0]);
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_closes_what_waits() {
    let (slow, _) = odd(|mut stream| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow").await;
    })
    .await;
    let mut rig = Rig::of(&[slow], Policy::TwoChoices, 1).await;
    let (mut busy, mut idle) = (rig.client().await, rig.client().await);
    busy.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    rig.until(|rig| rig.backends.all()[0].in_flight() == 1).await;
    drop(rig.stop.take());
    let (status, head, body) = busy.answer().await;
    assert_eq!((status, body), (200, b"slow".to_vec()));
    assert!(head.contains("connection: close"), "{head}");
    assert!(idle.is_closed().await && busy.is_closed().await);
    timeout(DEADLINE, rig.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(rig.address).await.is_err());
}

//! The limits of the server, seen from a socket.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_server::{Always, Handler, Limits, Metrics, Observed, ReadyCheck, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(10);

/// More bytes than the kernel keeps for a connection whose client does not read.
const LONG: usize = 32 * 1024 * 1024;

/// `/slow` waits for `go`, `/deadline` tells what remains, `/long` answers many bytes, all else is echoed.
#[derive(Default)]
struct Echo {
    began: Notify,
    go: Notify,
    open: watch::Sender<usize>,
}

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        match request.uri().path() {
            "/slow" => {
                self.began.notify_one();
                self.go.notified().await;
                Response::new(Bytes::from_static(b"late"))
            }
            "/deadline" => {
                let ms = u64::try_from(http_server::remaining().unwrap().as_millis()).unwrap();
                let trace = http_server::traceparent().map(|t| t.to_str().unwrap().to_owned());
                http_server::json(StatusCode::OK, &json!({"ms": ms, "trace": trace}))
            }
            "/long" => Response::new(Bytes::from(vec![b'x'; LONG])),
            _ => Response::new(request.into_body()),
        }
    }

    fn connections(&self, open: usize) {
        self.open.send_replace(open);
    }

    fn route(&self, _: &Method, path: &str) -> &'static str {
        if path == "/slow" { "/slow" } else { "/{any}" }
    }
}

struct Server {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<()>,
}

async fn start(handler: Arc<dyn Handler>, limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(async move {
        let shutdown = async { drop(stopped.await) };
        serve(listener, handler, limits, shutdown).await.unwrap();
    });
    Server { address, stop: Some(stop), done }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    fn stop(&mut self) {
        drop(self.stop.take());
    }
}

/// All that comes until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("not closed").unwrap();
    String::from_utf8(text).unwrap()
}

/// One answer on a connection that stays open.
async fn answer(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut bytes = [0; 1024];
    while !text.ends_with(end) {
        let n = timeout(PATIENCE, stream.read(&mut bytes)).await.expect("no answer").unwrap();
        assert_ne!(n, 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
    }
    text
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
}

fn short() -> Limits {
    let ms = Duration::from_millis;
    Limits { header_read: ms(200), request: ms(200), drain: ms(500), ..Limits::default() }
}

#[track_caller]
fn check(answer: &str, status: &str, parts: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    for part in parts {
        assert!(answer.contains(part), "{part} is missing in {answer}");
    }
}

#[tokio::test]
async fn a_body_within_the_limit_arrives_whole_and_a_longer_one_is_refused() {
    let server = start(Arc::new(Echo::default()), Limits::default()).await;
    let post = |length: usize| {
        let body = "x".repeat(length);
        format!(
            "POST /e HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let longest = 16 * 1024;
    let whole = server.ask(&post(longest)).await;
    check(&whole, "200", &[&"x".repeat(longest)]);
    let refused = server.ask(&post(longest + 1)).await;
    check(
        &refused,
        "413",
        &["application/problem+json", "problem:body-too-long", "x-effect: none"],
    );
    let chunk = format!("{longest:x}\r\n{}\r\n", "x".repeat(longest));
    let head =
        "POST /e HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    check(&server.ask(&format!("{head}{chunk}1\r\nx\r\n0\r\n\r\n")).await, "413", &[]);
    check(&server.ask(&format!("{head}{chunk}0\r\n\r\n")).await, "200", &[]);
}

#[tokio::test]
async fn a_client_that_dribbles_its_head_is_cut_off() {
    let server = start(Arc::new(Echo::default()), short()).await;
    let mut stream = server.connect().await;
    let begun = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    // A byte each 20 ms: never silent, never done.
    let cut = async {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(2), cut).await.expect("the dribbling client was never cut off");
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_time_out() {
    let limits = Limits { idle: Duration::from_secs(1), ..short() };
    let server = start(Arc::new(Echo::default()), limits).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream
            .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi")
            .await
            .unwrap();
        check(&answer(&mut stream, "hi").await, "200", &[]);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let begun = Instant::now();
    assert_eq!(rest(&mut stream).await, "");
    assert!(begun.elapsed() < Duration::from_secs(2), "idle beyond the limit");
}

#[tokio::test]
async fn a_slow_handler_is_504_and_a_slow_body_408() {
    let server = start(Arc::new(Echo::default()), short()).await;
    check(&server.ask(&get("/slow")).await, "504", &["problem:timed-out"]);
    let mut stream = server.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nh").await.unwrap();
    check(&rest(&mut stream).await, "408", &["problem:slow-body", "x-effect: none"]);
}

#[tokio::test]
async fn the_callers_deadline_shortens_the_servers_own() {
    let server = start(Arc::new(Echo::default()), Limits::default()).await;
    let ask = |path: &str, header: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{header}\r\n")
    };
    let ms = |answer: String| -> u64 {
        let body: serde_json::Value =
            serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        body["ms"].as_u64().unwrap()
    };
    assert!((2_000..=3_000).contains(&ms(server.ask(&ask("/deadline", "")).await)));
    let shorter = ms(server.ask(&ask("/deadline", "x-deadline-ms: 700\r\n")).await);
    assert!((200..=700).contains(&shorter), "{shorter}");
    assert!(ms(server.ask(&ask("/deadline", "x-deadline-ms: 99999\r\n")).await) <= 3_000);
    check(&server.ask(&ask("/slow", "x-deadline-ms: 30\r\n")).await, "504", &[]);
    let vast = format!("x-deadline-ms: {}\r\n", "9".repeat(40));
    assert!(ms(server.ask(&ask("/deadline", &vast)).await) <= 3_000);
    for wrong in ["", "1.5", "-1", "+1", "soon", "1, 2"] {
        let refused = server.ask(&ask("/deadline", &format!("x-deadline-ms: {wrong}\r\n"))).await;
        check(&refused, "422", &["problem:invalid", "x-effect: none"]);
    }
    let none = server.ask(&ask("/deadline", "x-deadline-ms: 0\r\n")).await;
    check(&none, "504", &["problem:timed-out", "x-effect: none"]);
    let traced = server.ask(&ask("/deadline", "traceparent: 00-ab-cd-01\r\n")).await;
    check(&traced, "200", &["00-ab-cd-01"]);
}

#[tokio::test]
async fn who_still_sends_the_body_gets_to_read_that_no_time_was_granted() {
    let server = start(Arc::new(Echo::default()), Limits::default()).await;
    for (header, status) in [("0", "504"), ("soon", "422")] {
        let mut stream = server.connect().await;
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-deadline-ms: {header}\r\n"
        );
        let head = format!("{head}content-length: 200000\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..200 {
            stream.write_all(&[b'x'; 1_000]).await.unwrap();
            tokio::task::yield_now().await;
        }
        check(&rest(&mut stream).await, status, &["x-effect: none"]);
    }
}

#[tokio::test]
async fn detached_work_has_the_trace_and_no_deadline() {
    struct Detaching;
    #[async_trait]
    impl Handler for Detaching {
        async fn handle(&self, _: Request<Bytes>) -> Response<Bytes> {
            let (tell, told) = oneshot::channel();
            tokio::spawn(http_server::detached(Box::pin(async move {
                let trace = http_server::traceparent().map(|t| t.to_str().unwrap().to_owned());
                tell.send(json!({"trace": trace, "left": http_server::remaining()})).unwrap();
            })));
            http_server::json(StatusCode::OK, &told.await.unwrap())
        }
    }
    let server = start(Arc::new(Detaching), Limits::default()).await;
    let traced =
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntraceparent: 00-ab-cd-01\r\n\r\n";
    check(&server.ask(traced).await, "200", &[r#""trace":"00-ab-cd-01""#, r#""left":null"#]);
    check(&server.ask(&get("/")).await, "200", &[r#""trace":null"#, r#""left":null"#]);
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let echo = Arc::new(Echo::default());
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let server = start(Arc::clone(&echo) as _, limits).await;
    let mut first = server.connect().await;
    first.write_all(get("/slow").as_bytes()).await.unwrap();
    echo.began.notified().await;
    let refused = server.ask(&get("/")).await;
    check(&refused, "503", &["retry-after: 1", "x-effect: none", "problem:busy"]);
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{refused}");
    serde_json::from_str::<serde_json::Value>(body).unwrap();
    echo.go.notify_one();
    check(&rest(&mut first).await, "200", &["late"]);
}

#[tokio::test]
async fn a_stopping_server_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let echo = Arc::new(Echo::default());
    let limits = Limits { request: PATIENCE, ..Limits::default() };
    let mut server = start(Arc::clone(&echo) as _, limits).await;
    let fresh = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    echo.began.notified().await;
    server.stop();
    let refused = async {
        while TcpStream::connect(&server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.expect("still accepting");
    assert!(!server.done.is_finished(), "the request in flight was dropped");
    echo.go.notify_one();
    check(&rest(&mut busy).await, "200", &["late", "connection: close"]);
    timeout(Duration::from_secs(2), server.done)
        .await
        .expect("a fresh connection held it")
        .unwrap();
    drop(fresh);
}

#[tokio::test]
async fn the_drain_is_bounded() {
    let echo = Arc::new(Echo::default());
    let limits = Limits { request: PATIENCE, ..short() };
    let mut server = start(Arc::clone(&echo) as _, limits).await;
    let mut busy = server.connect().await;
    busy.write_all(get("/slow").as_bytes()).await.unwrap();
    echo.began.notified().await;
    let begun = Instant::now();
    server.stop();
    timeout(PATIENCE, server.done).await.expect("drains for ever").unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(500), "the drain was cut short");
    assert!(begun.elapsed() < Duration::from_secs(3), "the drain is not bounded");
}

struct Missing;

#[async_trait]
impl ReadyCheck for Missing {
    async fn ready(&self) -> Result<(), String> {
        Err("the store does not answer".to_owned())
    }
}

#[tokio::test]
async fn a_process_tells_its_settings() {
    let limits = short();
    let told = limits.settings().with("store", "memory").time("wait", Duration::from_millis(1_500));
    let echo: Arc<dyn Handler> = Arc::new(Echo::default());
    let observed = Observed::telling(echo, Arc::new(Always), Arc::default(), told);
    let server = start(observed, limits).await;
    let answer = server.ask(&get("/settings")).await;
    let kept = [
        "application/json",
        r#""store":"memory""#,
        r#""wait":"1.5 s""#,
        r#""connections at once":""#,
    ];
    check(&answer, "200", &kept);
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let echo: Arc<dyn Handler> = Arc::new(Echo::default());
    let observed = Observed::new(Arc::clone(&echo), Arc::new(Always), Arc::default());
    let server = start(observed, short()).await;
    check(&server.ask(&get("/healthz")).await, "200", &["alive"]);
    check(&server.ask(&get("/readyz")).await, "200", &["ready"]);
    check(&server.ask(&get("/thing")).await, "200", &[]);
    check(&server.ask(&get("/slow")).await, "504", &[]);
    let text = server.ask(&get("/metrics")).await;
    let counted = r#"http_requests_total{method="GET",route="/{any}",status="2xx"} 1"#;
    let timed = r#"http_response_time_seconds_count{method="GET",route="/{any}"} 1"#;
    let kept = ["application/openmetrics-text", counted, timed, "http_in_flight 0", "# EOF"];
    check(&text, "200", &kept);
    assert!(text.contains(r#"route="/slow",status="cut"} 1"#), "a time-out counts: {text}");
    assert!(text.contains("http_connections 1"), "{text}");

    for path in ["/healthz", "/readyz", "/metrics", "/settings"] {
        let trace = format!("TRACE {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        check(&server.ask(&trace).await, "405", &["allow: GET", "problem:method-not-allowed"]);
    }

    let unready = Observed::new(echo, Arc::new(Missing), Arc::new(Metrics::default()));
    let server = start(unready, short()).await;
    check(&server.ask(&get("/readyz")).await, "503", &["the store does not answer"]);
}

/// Waits until so many connections are open.
async fn opens(echo: &Echo, count: usize) {
    let mut open = echo.open.subscribe();
    timeout(PATIENCE, open.wait_for(|open| *open == count)).await.expect("never").unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_one_that_reads_gets_all() {
    let echo = Arc::new(Echo::default());
    let limits = Limits { write: Duration::from_millis(300), ..Limits::default() };
    let server = start(Arc::clone(&echo) as _, limits).await;
    for dribbles in [false, true] {
        let mut stream = server.connect().await;
        opens(&echo, 1).await;
        stream.write_all(get("/long").as_bytes()).await.unwrap();
        let mut some = [0; 1024];
        let reads = async {
            while stream.read(&mut some).await.is_ok_and(|n| n > 0) {
                let pause = if dribbles { Duration::from_millis(20) } else { PATIENCE };
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = opens(&echo, 0) => {}
            () = reads => panic!("it came to the end"),
        }
    }
    let whole = server.ask(&get("/long")).await;
    assert!(whole.len() > LONG, "{} bytes", whole.len());
}

#[tokio::test]
async fn a_stopping_server_lets_an_answer_be_read_to_its_end() {
    let echo = Arc::new(Echo::default());
    let mut server = start(Arc::clone(&echo) as _, Limits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 1024];
    stream.read_exact(&mut first).await.unwrap();
    server.stop();
    // Longer than a connection is granted that does nothing.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let rest = rest(&mut stream).await;
    assert!(first.len() + rest.len() > LONG, "{} bytes", rest.len());
}

#[tokio::test]
async fn long_answers_have_so_many_bytes_together() {
    let echo = Arc::new(Echo::default());
    let limits = Limits { unread_bytes_max: LONG + LONG / 2, ..Limits::default() };
    let server = start(Arc::clone(&echo) as _, limits).await;
    let mut slow = server.connect().await;
    slow.write_all(get("/long").as_bytes()).await.unwrap();
    let mut first = [0; 1024];
    slow.read_exact(&mut first).await.unwrap();
    check(&server.ask(&get("/long")).await, "503", &["problem:busy", "retry-after: 1"]);
    check(&server.ask(&get("/short")).await, "200", &[]);
    drop(slow);
    opens(&echo, 0).await;
    assert!(server.ask(&get("/long")).await.len() > LONG, "room again");
}

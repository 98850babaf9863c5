//! Services start in any order: what they need may come later.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::future::pending;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brokers::embedded::{Options, Queue};
use http::{Request, Response, StatusCode};
use http_server::{Handler, Limits, json};
use serde_json::{Value, json};
use shop::auth::{Passwords, Tokens};
use shop::{Auth, AuthService, Credentials};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SECRET: &str = "a secret of tests that is 32 bytes";
const BODY: &str =
    r#"{"items":[{"sku":"tea","quantity":1,"price_cents":100}],"card":"4242424242424242"}"#;
const METRICS: &str = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const DEADLINE: Duration = Duration::from_secs(20);

/// A card network that captures everything.
struct Network;

#[async_trait]
impl Handler for Network {
    async fn handle(&self, _: Request<bytes::Bytes>) -> Response<bytes::Bytes> {
        json(StatusCode::OK, &json!({"status": "captured", "charge_id": "ch-1"}))
    }
}

/// A service under test; killed when it is dropped.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_microservices-async"))
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--store", "memory:"])
            .env("TRIPTYCH_TOKEN_SECRET", SECRET)
            .env("TRIPTYCH_MERCHANT_TOKEN", SECRET)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        // Whatever else it says must find somebody.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let (_, address) = line.trim().split_once("listening on ").expect(&line);
        Self { child, address: address.to_owned() }
    }

    async fn text(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The answer to a request: its head, and its body where that is JSON.
    async fn ask(&self, request: &str, key: &str, token: &str, body: &str) -> (String, Value) {
        let length = body.len();
        let answer = self
            .text(&format!(
                "{request} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
                 idempotency-key: {key}\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            ))
            .await;
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        (head.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn token() -> String {
    let (users, tokens) = (stores::open("memory:").unwrap().users, Tokens::new(SECRET.as_bytes()));
    let auth = AuthService::new(users, Passwords::new(1).unwrap(), tokens.unwrap());
    let ann = || Credentials {
        email: "ann@example.com".to_owned(),
        password: "correct horse battery".to_owned(),
    };
    auth.signup(ann()).await.unwrap();
    auth.login(ann()).await.unwrap().token
}

#[tokio::test]
async fn orders_and_payments_start_without_their_broker_and_work_when_it_comes() {
    let network = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = format!("http://{}", network.local_addr().unwrap());
    tokio::spawn(http_server::serve(network, Arc::new(Network), Limits::default(), pending()));
    // A port that is free for now.
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let broker = format!("embedded://{place}");
    let orders = Service::start(&["orders", "--broker", &broker]);
    let _payments = Service::start(&["payments", "--provider", &provider, "--broker", &broker]);
    let token = token().await;
    let (head, order) = orders.ask("POST /orders", "k", &token, BODY).await;
    assert!(head.starts_with("http/1.1 202"), "{head}");
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(&folder.path().join("broker.log"), Options::default()).unwrap();
    let listener = TcpListener::bind(place).await.unwrap();
    tokio::spawn(brokers::embedded::serve(listener, Arc::new(queue), pending()));
    let path = format!("GET /orders/{}", order["id"].as_str().unwrap());
    let paid = async {
        let mut seen = order;
        while seen["status"] == "pending" {
            (_, seen) = orders.ask(&path, "", &token, "").await;
        }
        seen
    };
    let seen = timeout(DEADLINE, paid).await.unwrap();
    assert_eq!(seen["status"], "paid", "{seen}");
}

#[tokio::test]
async fn an_order_that_the_outbox_has_no_room_for_is_refused_with_a_reason() {
    let nowhere = "embedded://127.0.0.1:1";
    let orders = Service::start(&["orders", "--broker", nowhere, "--outbox-max", "1"]);
    let token = token().await;
    for key in ["a", "a"] {
        let (head, _) = orders.ask("POST /orders", key, &token, BODY).await;
        assert!(head.starts_with("http/1.1 202"), "the same key owes nothing more: {head}");
    }
    let (head, told) = orders.ask("POST /orders", "b", &token, BODY).await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert!(head.contains("retry-after: ") && head.contains("x-effect: none"), "{head}");
    assert!(told["detail"].as_str().unwrap().contains("1 charges wait"), "{told}");
    let shown = async {
        while !orders.text(METRICS).await.contains("\noutbox_charges 1\n") {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, shown).await.expect("the metrics show what waits");
}

//! One customer with many connections: each sends its next order when it has the answer to the
//! last. It reads only what it needs of HTTP/1.1: a status and a body of known length.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

const ANSWER_BYTES_MAX: usize = 64 * 1024;
const EMAIL: &str = "customer@example.com";
const PASSWORD: &str = "a password that is long enough";

pub(crate) struct Customer {
    token: String,
}

impl Customer {
    pub(crate) async fn sign_up(address: SocketAddr) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        let who = json!({ "email": EMAIL, "password": PASSWORD });
        connection.post("/signup", "", &who, 201).await?;
        let session = connection.post("/login", "", &who, 200).await?;
        let session: Value = serde_json::from_slice(&session)?;
        let token = session["token"].as_str().context("no token")?.to_owned();
        Ok(Self { token })
    }

    /// The body of the answer to one order.
    pub(crate) async fn order_once(&self, address: SocketAddr) -> Result<Vec<u8>> {
        self.order(&mut Connection::open(address).await?).await
    }

    /// Orders on this many connections for this long; returns how many were answered.
    pub(crate) async fn order_for(
        &self,
        address: SocketAddr,
        connections: usize,
        span: Duration,
    ) -> Result<usize> {
        let until = Instant::now() + span;
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let customer = Self { token: self.token.clone() };
            tasks.spawn(async move {
                let mut connection = Connection::open(address).await?;
                let mut orders = 0;
                while Instant::now() < until {
                    customer.order(&mut connection).await?;
                    orders += 1;
                }
                anyhow::Ok(orders)
            });
        }
        let mut orders = 0;
        while let Some(done) = tasks.join_next().await {
            orders += done??;
        }
        Ok(orders)
    }

    async fn order(&self, connection: &mut Connection) -> Result<Vec<u8>> {
        let item = json!({ "sku": "tea-0001", "quantity": 2, "price_cents": 450 });
        let wanted = json!({ "items": [item.clone(), item], "card": "4242424242424242" });
        let (token, key) = (&self.token, Uuid::new_v4());
        let headers = format!("authorization: Bearer {token}\r\nidempotency-key: {key}\r\n");
        connection.post("/orders", &headers, &wanted, 201).await
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(ANSWER_BYTES_MAX) })
    }

    async fn post(
        &mut self,
        path: &str,
        headers: &str,
        body: &Value,
        status: u16,
    ) -> Result<Vec<u8>> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n{headers}\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (found, body) = self.answer().await?;
        ensure!(found == status, "{path} answered {found}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    async fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        self.received.clear();
        loop {
            if let Some((status, body)) = whole(&self.received)? {
                return Ok((status, body.to_vec()));
            }
            let read = self.stream.read_buf(&mut self.received).await?;
            if read == 0 || self.received.len() > ANSWER_BYTES_MAX {
                bail!("the answer broke off or has no end");
            }
        }
    }
}

/// Status and body, once all of it is there.
fn whole(received: &[u8]) -> Result<Option<(u16, &[u8])>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&received[..end])?;
    let status = head.get(9..12).context("no status")?.parse()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("no content-length")?.parse()?;
    Ok(received.get(end + 4..end + 4 + length).map(|body| (status, body)))
}

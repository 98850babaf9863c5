//! SIGTERM: a request that has begun is answered, new ones are refused, the process ends with 0.

use std::time::Duration;

use anyhow::{Context, ensure};
use scenario::Latency;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::programs::all_of;
use crate::stand::{Stand, refuses};

const PATIENCE: Duration = Duration::from_secs(10);
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

pub(crate) async fn finish(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::start(system).await?;
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let token = stand.shop()?.customer("ann@example.com", "correct horse battery").await?;
    let orders = stand.running.spec.players("orders");
    // Itself, for who stands before it does not end.
    let address = &stand.servers()[orders[0]].1.clone();
    let mut begun = Begun::order(address, &token).await?;
    for index in &orders {
        stand.terminate(*index)?;
    }
    refuses(address).await?;
    let answer = begun.complete().await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
    let accepted = head.starts_with("HTTP/1.1 201 ") || head.starts_with("HTTP/1.1 202 ");
    ensure!(accepted, "{answer}");
    let order: serde_json::Value = serde_json::from_str(body)?;
    ensure!(order["key"] == "last", "{order}");
    for index in &orders {
        stand.ends_well(*index).await?;
    }
    let broker = all_of(&stand.running.spec, "broker");
    let broker: Vec<_> = broker.into_iter().filter(|index| !orders.contains(index)).collect();
    let others = (0..stand.running.spec.processes.len()).rev();
    let others: Vec<_> = others.filter(|i| !orders.contains(i) && !broker.contains(i)).collect();
    for index in others {
        stand.terminate(index)?;
        stand.ends_well(index).await?;
    }
    // The nodes of a cluster at once: one after the other, the last would be too few to agree on anything.
    for index in &broker {
        stand.terminate(*index)?;
    }
    for index in broker {
        stand.ends_well(index).await?;
    }
    Ok(())
}

/// A request whose head has been taken and whose body is still owed.
struct Begun {
    stream: TcpStream,
    body: String,
}

impl Begun {
    /// The server's `100 Continue` says that it has begun.
    async fn order(address: &str, token: &str) -> anyhow::Result<Self> {
        let items = json!([{"sku": "tea", "quantity": 1, "price_cents": 100}]);
        let body = json!({"items": items, "card": "4242424242424242"}).to_string();
        let head = format!(
            "POST /orders HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             idempotency-key: last\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nexpect: 100-continue\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut told = vec![0; CONTINUE.len()];
        timeout(PATIENCE, stream.read_exact(&mut told)).await.context("no 100 Continue")??;
        ensure!(told == CONTINUE.as_bytes(), "{}", String::from_utf8_lossy(&told));
        Ok(Self { stream, body })
    }

    /// Sends the body and reads to the end of the connection, which the server closes.
    async fn complete(&mut self) -> anyhow::Result<String> {
        self.stream.write_all(self.body.as_bytes()).await?;
        let mut answer = String::new();
        let read = self.stream.read_to_string(&mut answer);
        timeout(PATIENCE, read).await.context("the connection is not closed")??;
        Ok(answer)
    }
}

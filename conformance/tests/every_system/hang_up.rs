//! Customers who hang up while their cards are charged, at a network that charges whatever it is asked:
//! each is charged once, and the order is settled, also if the process is told to end meanwhile.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, ensure};
use record::{Attempt, Operation, Outcome};
use scenario::{Latency, Provider, ProviderMode};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::crash::settles_all;
use crate::stand::Stand;

const ORDERS: usize = 10;
const CENTS: i64 = 500;
/// Longer than it takes to see that the orders are there.
const CHARGE: Latency = Latency::Constant { ms: 1_000.0 };
/// Beyond the age from which the recovery takes orders up.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn leave(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::start(system).await?;
    let token = stand.shop()?.customer("ann@example.com", "correct horse battery").await?;
    stand
        .outside_world(&Provider {
            latency: CHARGE,
            mode: ProviderMode::Raw,
            ..Provider::default()
        })
        .await?;
    hang_up(&stand, &token, 0..ORDERS).await?;
    settles_all(&stand, PATIENCE).await?;
    // Now the process is told to end, too: it finishes what nobody waits for.
    hang_up(&stand, &token, ORDERS..2 * ORDERS).await?;
    for index in stand.running.spec.players("orders") {
        stand.terminate(index)?;
        stand.ends_well(index).await?;
        stand.running.launch(index).await?;
    }
    settles_all(&stand, PATIENCE).await?;
    let attempts: Vec<_> = (0..2 * ORDERS).map(unanswered).collect();
    let verdict = audit::judge(&attempts, &stand.ledger().await?, &[], true);
    ensure!(verdict.violations.iter().all(|found| found.count == 0), "{verdict:#?}");
    let counts = verdict.counts;
    ensure!(counts.captures == counts.paid && counts.paid > 0, "{counts:?}\n{}", stand.logs()?);
    stand.stop().await;
    Ok(())
}

/// Asks for orders and leaves while their cards are being charged.
async fn hang_up(stand: &Stand, token: &str, orders: Range<usize>) -> anyhow::Result<()> {
    let address =
        stand.running.spec.entry.orders.first().strip_prefix("http://").context("not http")?;
    let (charged, mut waiting) = (stand.journal()?.len(), Vec::new());
    for n in orders.clone() {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(order(address, token, n).as_bytes()).await?;
        waiting.push(stream);
    }
    stand.reaches(orders.end, 0).await?;
    let charged = stand.journal()?.len() - charged;
    ensure!(charged < ORDERS, "all are charged already: this proves nothing");
    Ok(())
}

fn key(n: usize) -> String {
    format!("hung-up-{n}")
}

fn order(address: &str, token: &str, n: usize) -> String {
    let items = json!([{"sku": "tea", "quantity": 1, "price_cents": CENTS}]);
    let body = json!({"items": items, "card": "4242424242424242"}).to_string();
    format!(
        "POST /orders HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         idempotency-key: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        key(n),
        body.len()
    )
}

fn unanswered(n: usize) -> Attempt {
    Attempt {
        seq: n as u64,
        key: key(n),
        operation: Operation::Place,
        amount_cents: CENTS,
        outcome: Outcome::Unknown,
        ..Attempt::default()
    }
}

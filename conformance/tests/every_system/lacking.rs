//! Where a system keeps stock, and a shelf has an end: an order that needs more than is left is declined for that,
//! and nobody asks the card network about it. What is left can still be bought.

use std::time::Duration;

use anyhow::ensure;
use scenario::Latency;
use scenario::system::SystemSpec;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::shop::{answer, client};
use crate::stand::Stand;

const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn concerns(spec: &SystemSpec) -> anyhow::Result<bool> {
    Ok(!spec.players("inventory").is_empty())
}

pub(crate) async fn decline(system: &str) -> anyhow::Result<()> {
    let stand = Stand::stocked(system, 3).await?;
    let shop = stand.shop()?;
    let token = shop.customer("ann@example.com", "correct horse battery").await?;
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let tea = |quantity: u32| json!({"items": [{"sku": "tea", "quantity": quantity, "price_cents": 450}], "card": "4242"});
    let mut first = Value::Null;
    for (key, quantity, status, reason) in [
        ("two", 2, "paid", Value::Null),
        ("two more", 2, "declined", json!("out-of-stock")),
        ("the last", 1, "paid", Value::Null),
        ("one more", 1, "declined", json!("out-of-stock")),
    ] {
        let key = key.replace(' ', "-");
        let order = shop.buy(&token, &key, &tea(quantity)).await?;
        ensure!(order["status"] == status && order["reason"] == reason, "{key}: {order}");
        ensure!(order["settled_at"].is_i64(), "{order}");
        ensure!(order["charge_id"].is_null() == (status == "declined"), "{order}");
        if status == "declined" && first.is_null() {
            first = order;
        }
    }
    let again = shop.buy(&token, "two-more", &tea(2)).await?;
    ensure!(again == first, "{again} instead of {first}");
    let mut charged: Vec<String> = stand.journal()?.into_iter().map(|row| row.key).collect();
    charged.sort();
    ensure!(charged == ["the-last", "two"], "the card network was asked about {charged:?}");
    shelves(&stand).await?;
    stand.stop().await;
    Ok(())
}

/// Waits until all is sold and nothing held.
async fn shelves(stand: &Stand) -> anyhow::Result<()> {
    let base = stand.running.spec.audit.stock.clone().unwrap_or_default();
    let row = json!({"sku": "tea", "held": 0, "sold": 3, "released": 0, "stock": 3});
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = answer(client()?.get(format!("{base}/shelves"))).await?.good(200)?;
        if found == json!({"shelves": [row]}) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{found} instead of {row}\n{}", stand.logs()?);
        sleep(POLL).await;
    }
}

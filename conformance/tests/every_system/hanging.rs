//! Charges whose issuer does not answer keep nobody else waiting, and are not given up.

use std::time::Duration;

use anyhow::ensure;
use scenario::Latency;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::shop::answer;
use crate::stand::Stand;

/// More than any small number of places.
const HANGING: usize = 150;
/// Bought one after the other, while what hangs is tried again and again, for 2.5 s each time.
const GOOD: usize = 8;
const EVERY: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) async fn wait(system: &str) -> anyhow::Result<()> {
    let stand = Stand::poisoned(system).await?;
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let shop = stand.shop()?;
    let token = shop.customer("ann@example.com", "correct horse battery").await?;
    let mut asked = JoinSet::new();
    for n in 0..HANGING {
        let (shop, token) = (shop.clone(), token.clone());
        asked.spawn(async move {
            answer(shop.place(&token, &format!("hanging-{n}"), &order("poison-hang"))).await
        });
    }
    stand.reaches(HANGING, 0).await?;
    let mut tick = interval(EVERY);
    for n in 0..GOOD {
        tick.tick().await;
        let begun = Instant::now();
        let key = format!("good-{n}");
        let bought = timeout(PATIENCE, shop.buy(&token, &key, &order("4242424242424242"))).await;
        ensure!(bought.is_ok(), "{key} is not final after {:?}", begun.elapsed());
        let paid = bought??;
        ensure!(paid["status"] == "paid", "{paid}");
    }
    asked.join_all().await;
    let orders = stand.operator.all(None).await?;
    let pending = orders.iter().filter(|order| order.status == "pending").count();
    ensure!(pending == HANGING, "{pending} are pending");
    if !stand.running.spec.players("broker").is_empty() {
        let dead = stand.dead_letters().await?;
        ensure!(dead.is_empty(), "{dead:?} were given up");
    }
    stand.stop().await;
    Ok(())
}

fn order(card: &str) -> Value {
    json!({"items": [{"sku": "tea", "quantity": 1, "price_cents": 100}], "card": card})
}

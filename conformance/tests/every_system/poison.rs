//! One order that makes whoever charges it fail: the others settle. Behind a queue it ends among the
//! dead letters, also if it takes its consumer's process along each time, and alone: who was in work
//! beside it is not given up with it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use scenario::Latency;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::shop::{Answer, Shop, answer};
use crate::stand::Stand;

/// Deliveries before the broker gives a message up.
const ATTEMPTS: u32 = 8;
const INNOCENT: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

pub(crate) async fn spread(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::poisoned(system).await?;
    stand.provider(Latency::Constant { ms: 20.0 }, 0.0).await?;
    let shop = stand.shop()?;
    let token = shop.customer("ann@example.com", "correct horse battery").await?;
    let queued = !stand.running.spec.players("broker").is_empty();
    // Without a queue nobody counts attempts: an order that ends its process does so for ever. With the queue inside it
    // ends who takes orders, too.
    let apart = queued && stand.queues_inside().is_empty();
    let poisons: &[&str] = if apart { &["error", "panic", "abort"] } else { &["error", "panic"] };
    for poison in poisons {
        let key = format!("poison-{poison}");
        let told = answer(shop.place(&token, &key, &order(&key))).await;
        let status = told.as_ref().map(|told| told.status).unwrap_or_default();
        // A handler that panics takes its connection along.
        let is_expected =
            if stand.answers_later() { status == 202 } else { matches!(status, 0 | 500..=599) };
        ensure!(is_expected, "{told:?}");
        for n in 0..INNOCENT {
            buy(&shop, &token, &format!("innocent-{poison}-{n}")).await?;
        }
    }
    settle(&mut stand, poisons, queued).await?;
    stand.stop().await;
    Ok(())
}

fn order(card: &str) -> Value {
    json!({"items": [{"sku": "tea", "quantity": 1, "price_cents": 100}], "card": card})
}

async fn buy(shop: &Shop, token: &str, key: &str) -> anyhow::Result<()> {
    let Answer { status, .. } = answer(shop.place(token, key, &order("4242424242424242"))).await?;
    ensure!(matches!(status, 201 | 202), "{key}: {status}");
    Ok(())
}

/// Restarts who ends, as a supervisor does, until the poison alone is pending and, behind a queue,
/// given up.
async fn settle(stand: &mut Stand, poisons: &[&str], queued: bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut restarts = 0;
    loop {
        for index in stand.running.spec.players("payments") {
            if stand.running.ended(index).is_some() {
                restarts += 1;
                let launched = stand.running.launch(index).await;
                // It may meet the poison before anybody has seen it ready.
                ensure!(launched.is_ok() || stand.running.ended(index).is_some(), "{launched:?}");
            }
        }
        let orders = stand.operator.all(None).await?;
        let pending: Vec<&str> =
            orders.iter().filter(|o| o.status == "pending").map(|o| o.key.as_str()).collect();
        let alone =
            pending.len() == poisons.len() && pending.iter().all(|k| k.starts_with("poison-"));
        let dead = if queued { stand.dead_letters().await? } else { BTreeSet::new() };
        let given_up = !queued || dead.len() == poisons.len();
        if alone && given_up {
            ensure!(dead.iter().all(|key| key.starts_with("poison-")), "{dead:?}");
            // Whoever looks may come before the last one; what was given up is handed over once more
            // and may have ended its consumer as often again. Where a message moves in two steps, a consumer that
            // ends between them leaves it twice.
            let expected = ATTEMPTS - 1..=ATTEMPTS * 3;
            let aborts = poisons.contains(&"abort");
            ensure!(!aborts || expected.contains(&restarts), "{restarts} restarts");
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "pending {pending:?}, dead {dead:?}, {restarts} restarts"
        );
        sleep(POLL).await;
    }
}

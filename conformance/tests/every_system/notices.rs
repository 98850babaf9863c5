//! Where a system notifies customers (variants with `entry.callbacks`): each final order is notified of the
//! state that it has, also of those that became final while nobody could notify; who names a URL that may
//! not be called is given up and harms no other. Where a system keeps stock, what was ordered is sold or released.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, ensure};
use loadgen::truth::dead_letters;
use scenario::Latency;
use scenario::system::SystemSpec;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::shop::{Shop, answer, client};
use crate::stand::Stand;

const QUICK: Latency = Latency::Constant { ms: 5.0 };
/// Longer than what is left is told again after, and than a message is put off.
const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn concerns(spec: &SystemSpec) -> anyhow::Result<bool> {
    Ok(spec.entry.callbacks.is_some())
}

pub(crate) async fn arrive(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::start(system).await?;
    let url = stand.running.spec.entry.callbacks.clone().context("nobody is notified")?;
    let shop = stand.shop()?;
    let token = shop.customer("ann@example.com", "correct horse battery").await?;
    stand.provider(QUICK, 0.0).await?;
    ensure!(place(&shop, &token, "paid", Some(&url)).await? < 300);
    ensure!(place(&shop, &token, "quiet", None).await? < 300, "nobody has to be notified");
    ensure!(place(&shop, &token, "elsewhere", Some("http://127.0.0.1:1/x")).await? < 300);
    stand.reaches(3, 3).await?;
    stand.provider(QUICK, 1.0).await?;
    ensure!(place(&shop, &token, "declined", Some(&url)).await? < 300);
    notified(&stand, &["declined", "paid"]).await?;
    given_up(&stand, "elsewhere").await?;
    let tea = json!({"sku": "tea", "held": 0, "sold": 6, "released": 2, "stock": null});
    stock(&stand, tea).await?;
    outage(&mut stand, &shop, &token, &url).await?;
    stand.stop().await;
    Ok(())
}

/// Notifications are dead for a while: who asks for orders synchronously is told an error, who is behind a
/// queue notices nothing, and all are notified in the end.
async fn outage(stand: &mut Stand, shop: &Shop, token: &str, url: &str) -> anyhow::Result<()> {
    let dead = stand.running.spec.players("notifications");
    let orders = stand.running.spec.players("orders");
    // In one process with orders nobody could be asked.
    if dead.iter().any(|index| orders.contains(index)) {
        return Ok(());
    }
    for index in &dead {
        stand.running.kill(*index).await?;
    }
    let behind_a_queue = stand.answers_later();
    let status = place(shop, token, "meanwhile", Some(url)).await?;
    ensure!((status < 300) == behind_a_queue, "it was answered {status}");
    for index in &dead {
        stand.running.launch(*index).await?;
    }
    notified(stand, &["declined", "meanwhile", "paid"]).await
}

async fn place(shop: &Shop, token: &str, key: &str, url: Option<&str>) -> anyhow::Result<u16> {
    let items = json!([{"sku": "tea", "quantity": 2, "price_cents": 450}]);
    let body: Value = json!({"items": items, "card": "4242", "callback_url": url});
    Ok(answer(shop.place(token, key, &body)).await?.status)
}

/// Waits until just these were notified, and each of the state that it has.
async fn notified(stand: &Stand, keys: &[&str]) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ledger = stand.ledger().await?;
        let notices = ledger.charges.iter().filter_map(|row| {
            Some((row.key.as_str(), row.event.strip_prefix("notified-")?.to_owned()))
        });
        let notices: BTreeMap<&str, String> = notices.collect();
        if keys.iter().all(|key| notices.contains_key(key)) {
            ensure!(notices.len() == keys.len(), "{notices:?} instead of {keys:?}");
            for order in ledger.orders.iter().filter(|order| keys.contains(&order.key.as_str())) {
                ensure!(notices[order.key.as_str()] == order.status, "{order:?}: {notices:?}");
            }
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{notices:?} instead of {keys:?}\n{}", stand.logs()?);
        sleep(POLL).await;
    }
}

/// Waits until this is all that the inventory says of its articles.
async fn stock(stand: &Stand, expected: Value) -> anyhow::Result<()> {
    let Some(base) = &stand.running.spec.audit.stock else { return Ok(()) };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shelves = answer(client()?.get(format!("{base}/shelves"))).await?.good(200)?;
        if shelves == json!({"shelves": [expected]}) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{shelves} instead of {expected}");
        sleep(POLL).await;
    }
}

/// Waits until this key's notification is among the dead letters, and no other's.
async fn given_up(stand: &Stand, key: &str) -> anyhow::Result<()> {
    let urls = &stand.running.spec.audit.dead_letters;
    let url = urls.iter().rfind(|url| url.ends_with("/dead/notices")).context("no such list")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut keys = BTreeSet::new();
        let take = |row: record::ledger::DeadRow| {
            keys.insert(row.key);
            Ok(())
        };
        dead_letters(url, 100, take).await?;
        if keys == BTreeSet::from([key.to_owned()]) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{keys:?} instead of {key}");
        sleep(POLL).await;
    }
}

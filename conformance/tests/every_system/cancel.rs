//! What is taken back in time is never charged, and what is decided stays so, whoever comes first.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use reqwest::Method;
use scenario::Latency;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::shop::{Answer, Shop, answer};
use crate::stand::Stand;

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Whoever acknowledges early forgets what failed; his customer asks again.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// Orders of a round, and rounds until one was taken back in time.
const ORDERS: usize = 6;
const ROUNDS: usize = 5;

pub(crate) async fn race(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::start(system).await?;
    let shop = stand.shop()?;
    let ann = shop.customer("ann@example.com", "correct horse battery").await?;
    let bob = shop.customer("bob@example.com", "correct horse battery").await?;
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let tea = json!({"items": [{"sku": "tea", "quantity": 1, "price_cents": 450}], "card": "4242424242424242"});
    // Decided before.
    let paid = shop.buy(&ann, "paid", &tea).await?;
    let id = paid["id"].as_str().context("no id")?.to_owned();
    ensure!(cancel(&shop, &ann, &id).await?.good(200)? == paid, "what is decided stays so");
    cancel(&shop, &bob, &id).await?.refused(404)?;
    cancel(&shop, &ann, "no-id").await?.refused(404)?;
    let mut taken_back = BTreeSet::new();
    for round in 0..ROUNDS {
        taken_back.extend(one(&mut stand, &shop, &ann, &tea, round).await?);
        if !taken_back.is_empty() {
            break;
        }
    }
    ensure!(!taken_back.is_empty(), "nothing was taken back in time\n{}", stand.logs()?);
    let captured = stand.journal()?.into_iter().filter(|row| row.event == "captured");
    let captured: BTreeSet<String> = captured.map(|row| row.key).collect();
    let both: Vec<_> = taken_back.intersection(&captured).collect();
    ensure!(both.is_empty(), "charged although taken back: {both:?}");
    stand.stop().await;
    Ok(())
}

/// Orders that are pending because the card network is away, and taken back before it is there again and until that is
/// heard; returns those that were cancelled in time.
async fn one(
    stand: &mut Stand,
    shop: &Shop,
    token: &str,
    tea: &Value,
    round: usize,
) -> anyhow::Result<Vec<String>> {
    let network = stand.running.spec.players("provider");
    for index in &network {
        stand.running.kill(*index).await?;
    }
    let keys: Vec<String> = (0..ORDERS).map(|n| format!("back-{round}-{n}")).collect();
    // Accepted or in doubt: they are there, and pending.
    join_all(keys.iter().map(|key| answer(shop.place(token, key, tea)))).await;
    let ids = ids(stand, &keys).await?;
    // A message is taken now; a call is in vain, and made again.
    let taken = join_all(ids.iter().map(|id| is_taken(shop, token, id))).await;
    for index in &network {
        stand.running.launch(*index).await?;
    }
    let asked = ids.iter().zip(taken);
    let ended = join_all(asked.map(|(id, is_taken)| ended(shop, token, id, is_taken))).await;
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let mut cancelled = Vec::new();
    for order in ended {
        let order = order?;
        let (status, reason) = (&order["status"], &order["reason"]);
        if reason == "cancelled" {
            ensure!(status == "declined" && order["charge_id"].is_null(), "{order}");
            cancelled.push(order["key"].as_str().context("no key")?.to_owned());
        } else {
            // The network that has come back may decline by its own luck.
            ensure!(status == "paid" || (status == "declined" && reason.is_null()), "{order}");
        }
    }
    Ok(cancelled)
}

/// The ids of those orders that are there, as soon as somebody tells.
async fn ids(stand: &Stand, keys: &[String]) -> anyhow::Result<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = stand.operator.all(None).await.map(|orders| {
            let ours = orders.into_iter().filter(|order| keys.contains(&order.key));
            ours.map(|order| order.id).collect::<Vec<_>>()
        });
        match told {
            Ok(ids) if !ids.is_empty() => return Ok(ids),
            told => ensure!(Instant::now() < deadline, "no order is there: {told:?}"),
        }
        sleep(POLL).await;
    }
}

/// Whether a cancellation is taken.
async fn is_taken(shop: &Shop, token: &str, id: &str) -> bool {
    cancel(shop, token, id).await.is_ok_and(|told| matches!(told.status, 200 | 202))
}

/// Cancels an order until that is taken, and again where nothing is heard of it, until it is final.
async fn ended(shop: &Shop, token: &str, id: &str, mut taken: bool) -> anyhow::Result<Value> {
    let (path, deadline) = (format!("/orders/{id}"), Instant::now() + PATIENCE);
    let mut again = Instant::now() + HEARD_WITHIN;
    loop {
        if !taken || Instant::now() >= again {
            taken = is_taken(shop, token, id).await;
            again = Instant::now() + HEARD_WITHIN;
        }
        // Whoever stands before it may take all for dead for a moment.
        let order = shop.get(token, &path).await.and_then(|told| told.good(200));
        match order {
            Ok(order) if order["status"] != "pending" => return Ok(order),
            order => ensure!(Instant::now() < deadline, "not final: {order:?}"),
        }
        sleep(POLL).await;
    }
}

async fn cancel(shop: &Shop, token: &str, id: &str) -> anyhow::Result<Answer> {
    let request = shop.orders(Method::POST, &format!("/orders/{id}/cancel"));
    answer(request.bearer_auth(token)).await
}

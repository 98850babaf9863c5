//! Before the load: customers sign up and in, and each places an order to look up later.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::truth::OrdersReader;
use load::engine::{Customer, ShopTraffic, Target, order_body};
use load::workload::Workload;
use record::{Known, Operation, prepared_keys};
use scenario::Scenario;
use scenario::system::{Entry, Urls};
use supervise::asking;
use supervise::http::address;

/// A login with a slow disk and a busy core takes a second at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Far above a session, and an order of three items.
const BYTES_MAX: usize = 64 * 1024;

/// What the load needs.
pub struct Prepared {
    /// Traffic of customers who are signed in.
    pub traffic: ShopTraffic,
    /// Where auth and orders listen.
    pub targets: Vec<Target>,
    /// The customers' tokens.
    pub tokens: Vec<String>,
    /// Until when all of them are good, µs since the epoch, if every login said so.
    pub tokens_until_us: Option<i64>,
}

/// Signs the scenario's customers up and in.
///
/// # Errors
/// If the system refuses, or an order of the preparation does not settle.
pub async fn prepare(
    scenario: &Scenario,
    entry: &Entry,
    prefix: &str,
    seed: u64,
    orders: &OrdersReader,
) -> anyhow::Result<Prepared> {
    let http = supervise::http::client(PATIENCE)?;
    let mut jobs = Workload::new(scenario.mix, scenario.customers, !seed);
    let (mut customers, mut tokens_until_us) = (Vec::new(), Some(i64::MAX));
    for (n, key) in (0..).zip(prepared_keys(prefix, scenario.customers)) {
        let email = format!("customer-{n}@example.com");
        let password = format!("password of customer {n}");
        let account = json!({"email": email, "password": password});
        post(&http, &format!("{}/signup", entry.auth.first()), None, &account.to_string()).await?;
        let session =
            post(&http, &format!("{}/login", entry.auth.first()), None, &account.to_string())
                .await?;
        let token = text(&session, "token")?;
        let until_us = session.get("expires_at").and_then(Value::as_i64);
        tokens_until_us = tokens_until_us.zip(until_us).map(|(all, one)| all.min(one));
        let body = order_body(&jobs.job(Operation::Place, n), entry.callbacks.as_deref());
        let url = format!("{}/orders", entry.orders.first());
        let order = post(&http, &url, Some((&token, &key)), &body).await?;
        let id = text(&order, "id")?;
        let orders = [(id.into(), Known::Prepared)].into();
        customers.push(Customer { email, password, token, orders });
    }
    if !orders.drain(PATIENCE, Duration::ZERO).await? {
        bail!("orders placed before the load are still pending after {} s", PATIENCE.as_secs());
    }
    let tokens = customers.iter().map(|customer| customer.token.clone()).collect();
    let hosts = [addresses(&entry.auth)?, addresses(&entry.orders)?];
    let targets =
        hosts.iter().flatten().map(|h| Target::resolve(h)).collect::<anyhow::Result<_>>()?;
    let traffic = ShopTraffic::new(customers, hosts, prefix.to_owned());
    let traffic = traffic.notified_at(entry.callbacks.clone());
    Ok(Prepared { traffic, targets, tokens, tokens_until_us })
}

fn addresses(urls: &Urls) -> anyhow::Result<Vec<String>> {
    urls.all().iter().map(|url| address(url)).collect()
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    order: Option<(&str, &str)>,
    body: &str,
) -> anyhow::Result<Value> {
    let mut request =
        http.post(url).header("content-type", "application/json").body(body.to_owned());
    if let Some((token, key)) = order {
        request = request.bearer_auth(token).header("idempotency-key", key);
    }
    asking::ask_json(request, BYTES_MAX, &format!("POST {url}")).await
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    let found = value.get(field).and_then(Value::as_str);
    found.map(ToOwned::to_owned).with_context(|| format!("the answer has no {field:?}: {value}"))
}

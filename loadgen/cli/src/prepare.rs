//! Before the load: customers sign up and in, and each places an order to look up later.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::truth::OrdersReader;
use load::engine::{Customer, ShopTraffic, Target, order_body};
use load::workload::Workload;
use record::{Known, Operation, prepared_keys};
use scenario::Scenario;
use scenario::system::{Entry, Urls};
use supervise::asking;
use supervise::http::address;

/// A login with a slow disk and a busy core takes a second at most. Until then what may pass is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Orders of the preparation are settled at once, but where other programs have the cores.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Far above a session, and an order of three items.
const BYTES_MAX: usize = 64 * 1024;

/// The system was there, and did not do what is asked of it before the load: on another occasion it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it could not be prepared for the load")]
pub struct Unprepared;

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
/// [`Unprepared`], with why: the system refuses, or an order of the preparation does not settle.
pub async fn prepare(
    scenario: &Scenario,
    entry: &Entry,
    prefix: &str,
    seed: u64,
    orders: &OrdersReader,
) -> anyhow::Result<Prepared> {
    signed_in(scenario, entry, prefix, seed, orders).await.context(Unprepared)
}

async fn signed_in(
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
        let account = json!({"email": email, "password": password}).to_string();
        let [signup, login] =
            ["signup", "login"].map(|route| format!("{}/{route}", entry.auth.first()));
        // Signed up already: an answer was lost.
        post(&http, &signup, None, &account, &[StatusCode::CONFLICT]).await?;
        let session = post(&http, &login, None, &account, &[]).await?;
        let token = text(&session, "token")?;
        let until_us = session.get("expires_at").and_then(Value::as_i64);
        tokens_until_us = tokens_until_us.zip(until_us).map(|(all, one)| all.min(one));
        let body = order_body(&jobs.job(Operation::Place, n), entry.callbacks.as_deref());
        let url = format!("{}/orders", entry.orders.first());
        let order = post(&http, &url, Some((&token, &key)), &body, &[]).await?;
        let id = text(&order, "id")?;
        let orders = [(id.into(), Known::Prepared)].into();
        customers.push(Customer { email, password, token, orders });
    }
    if !orders.drain(SETTLED_WITHIN, Duration::ZERO).await? {
        let within = SETTLED_WITHIN.as_secs();
        bail!("orders placed before the load are still pending after {within} s");
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

/// What the system answers. An error that may pass is asked about again for a while; then these statuses are
/// good, too: it did what it was asked before.
async fn post(
    http: &reqwest::Client,
    url: &str,
    order: Option<(&str, &str)>,
    body: &str,
    good_again: &[StatusCode],
) -> anyhow::Result<Value> {
    let end = Instant::now() + PATIENCE;
    let what = format!("POST {url}");
    let mut is_again = false;
    loop {
        let mut request =
            http.post(url).header("content-type", "application/json").body(body.to_owned());
        if let Some((token, key)) = order {
            request = request.bearer_auth(token).header("idempotency-key", key);
        }
        let answer = asking::ask(request, BYTES_MAX).await;
        let may_pass = answer.as_ref().map_or(true, |(status, _)| {
            status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
        });
        if may_pass && Instant::now() < end {
            sleep(AGAIN_AFTER).await;
            is_again = true;
            continue;
        }
        let (status, body) = answer.with_context(|| what.clone())?;
        if is_again && good_again.contains(&status) {
            return Ok(Value::Null);
        }
        return asking::json(status, &body, &what);
    }
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    let found = value.get(field).and_then(Value::as_str);
    found.map(ToOwned::to_owned).with_context(|| format!("the answer has no {field:?}: {value}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers these statuses, the last one for ever, and counts.
    async fn answering(statuses: &'static [u16]) -> (String, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/signup", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let nth = count.fetch_add(1, Ordering::Relaxed) as usize;
                let status = statuses.get(nth).or(statuses.last()).unwrap();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
                );
                let _ = stream.read(&mut [0; 1_024]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (url, asked)
    }

    async fn check(statuses: &'static [u16], expected: Option<u32>) {
        let (url, asked) = answering(statuses).await;
        let http = supervise::http::client(PATIENCE).unwrap();
        let answer = post(&http, &url, None, "{}", &[StatusCode::CONFLICT]).await;
        let times = answer.is_ok().then(|| asked.load(Ordering::Relaxed));
        assert_eq!(times, expected, "{statuses:?}: {answer:?}");
    }

    #[tokio::test]
    async fn what_may_pass_is_asked_again_and_what_was_done_before_is_done() {
        check(&[200], Some(1)).await;
        check(&[504, 429, 201], Some(3)).await;
        check(&[504, 409], Some(2)).await;
        check(&[409], None).await;
        check(&[504, 400], None).await;
    }
}

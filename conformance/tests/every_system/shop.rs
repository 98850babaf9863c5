//! The shop as a customer sees it: requests, answers, and what every refusal has in common.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::{Method, RequestBuilder};
use scenario::system::Entry;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Longer than any server's own time-out.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub(crate) struct Shop {
    http: reqwest::Client,
    auth: String,
    orders: String,
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

/// A client that waits longer than any server does.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    Ok(supervise::http::client(PATIENCE)?)
}

impl Shop {
    pub(crate) fn new(entry: &Entry) -> anyhow::Result<Self> {
        let http = client()?;
        Ok(Self {
            http,
            auth: entry.auth.first().to_owned(),
            orders: entry.orders.first().to_owned(),
        })
    }

    /// A request to where orders are answered.
    pub(crate) fn orders(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.orders))
    }

    /// A request to where accounts are answered.
    pub(crate) fn accounts(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.auth)).json(body)
    }

    /// A new customer's token.
    pub(crate) async fn customer(&self, email: &str, password: &str) -> anyhow::Result<String> {
        let account = json!({"email": email, "password": password});
        let signed_up = answer(self.accounts("/signup", &account)).await?;
        ensure!(signed_up.status == 201 && signed_up.body["user_id"].is_string(), "{signed_up:?}");
        let session = answer(self.accounts("/login", &account)).await?;
        ensure!(session.status == 200 && session.body["expires_at"].is_i64(), "{session:?}");
        session.text("token")
    }

    pub(crate) fn place(&self, token: &str, key: &str, body: &Value) -> RequestBuilder {
        let request = self.orders(Method::POST, "/orders");
        request.bearer_auth(token).header("idempotency-key", key).json(body)
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> anyhow::Result<Answer> {
        answer(self.orders(Method::GET, path).bearer_auth(token)).await
    }

    /// Places an order that must be accepted, and follows it to its final state.
    pub(crate) async fn buy(&self, token: &str, key: &str, body: &Value) -> anyhow::Result<Value> {
        let placed = answer(self.place(token, key, body)).await?;
        let path = format!("/orders/{}", placed.text("id")?);
        ensure!(placed.headers["location"] == path.as_str(), "{placed:?}");
        let pending = placed.body["status"] == "pending";
        ensure!(placed.status == if pending { 202 } else { 201 }, "{placed:?}");
        if !pending {
            return Ok(placed.body);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let order = self.get(token, &path).await?.good(200)?;
            if order["status"] != "pending" {
                return Ok(order);
            }
            ensure!(Instant::now() < deadline, "{key} is still pending");
            sleep(POLL).await;
        }
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.json().await.with_context(|| format!("{status} without JSON"))?;
    Ok(Answer { status, headers, body })
}

impl Answer {
    pub(crate) fn text(&self, field: &str) -> anyhow::Result<String> {
        let text = self.body[field].as_str();
        text.map(ToOwned::to_owned).with_context(|| format!("no {field:?} in {self:?}"))
    }

    /// The body of a good answer.
    pub(crate) fn good(self, status: u16) -> anyhow::Result<Value> {
        ensure!(self.status == status, "{self:?} instead of {status}");
        ensure!(self.headers["content-type"] == "application/json", "{self:?}");
        Ok(self.body)
    }

    /// Whether this is a problem document (RFC 9457) of this status.
    pub(crate) fn refused(&self, status: u16) -> anyhow::Result<()> {
        ensure!(self.status == status, "{self:?} instead of {status}");
        let media = self.headers.get("content-type");
        ensure!(media.is_some_and(|m| m == "application/problem+json"), "{self:?}");
        ensure!(self.body["status"] == status, "{self:?}");
        for field in ["type", "title", "detail"] {
            ensure!(self.body[field].is_string(), "no {field} in {self:?}");
        }
        let needed = match status {
            401 => "www-authenticate",
            405 => "allow",
            429 | 503 => "retry-after",
            _ => return Ok(()),
        };
        if !self.headers.contains_key(needed) {
            bail!("no {needed} in {self:?}");
        }
        Ok(())
    }
}

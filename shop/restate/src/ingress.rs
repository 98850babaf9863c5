//! What the server's two doors are asked, over HTTP/2: one connection carries all who wait.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Builder;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::json;
use shop::{Error, Result};

use crate::{METHOD, SERVICE};

const CONNECT_MAX: Duration = Duration::from_secs(1);
/// A server that hangs is found so, while it owes answers.
const PROBED_AFTER: Duration = Duration::from_secs(2);
/// What it says of a service of ours stays well below.
const ANSWER_BYTES_MAX: usize = 64 * 1_024;
/// As much of a refusal is told.
const SAID_MAX: usize = 300;
/// What the server calls an invocation of the same key by.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Where invocations begin.
pub struct Ingress(Server);

/// Where services are made known.
pub struct Admin(Server);

/// A door of the server.
struct Server {
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
}

impl Ingress {
    /// At this `HOST:PORT`, where it need not be yet.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self(Server::new(address))
    }

    /// Begins the workflow of this key, or attaches to it, and waits for its end.
    pub(crate) async fn finish(&self, key: &str) -> Result<()> {
        let url = format!("http://{}/{SERVICE}/{METHOD}", self.0.address);
        let strange = |_| Error::Invalid("a key that no header can hold".to_owned());
        let key_too = HeaderValue::try_from(key).map_err(strange)?;
        let request = Request::post(&url).header(IDEMPOTENCY_KEY, key_too);
        self.0.post(&url, request, &json!(key)).await
    }

    /// Whether it takes invocations.
    ///
    /// # Errors
    /// `Unavailable` if not.
    pub async fn healthy(&self) -> Result<()> {
        let url = format!("http://{}/restate/health", self.0.address);
        self.0.ask(&url, Request::get(&url).body(Full::default())).await
    }
}

impl Admin {
    /// At this `HOST:PORT`, where it need not be yet.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self(Server::new(address))
    }

    /// Makes our service known, which is served at this address; it may be known already.
    ///
    /// # Errors
    /// If one of the two is not up.
    pub async fn introduce(&self, worker: SocketAddr) -> Result<()> {
        let url = format!("http://{}/deployments", self.0.address);
        let deployment = json!({ "uri": format!("http://{worker}") });
        self.0.post(&url, Request::post(&url), &deployment).await
    }
}

impl Server {
    fn new(address: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_MAX));
        let mut client = Client::builder(TokioExecutor::new());
        client.timer(TokioTimer::new());
        client.http2_only(true).http2_keep_alive_interval(PROBED_AFTER);
        client.http2_keep_alive_timeout(PROBED_AFTER);
        Self { client: client.build(connector), address: address.to_owned() }
    }

    async fn post(&self, url: &str, request: Builder, body: &serde_json::Value) -> Result<()> {
        let request = request.header(CONTENT_TYPE, "application/json");
        self.ask(url, request.body(Full::from(body.to_string()))).await
    }

    /// That what it answers is no refusal.
    async fn ask(&self, url: &str, request: http::Result<Request<Full<Bytes>>>) -> Result<()> {
        let request = request.map_err(|why| Error::Internal(format!("{url}: {why}")))?;
        let response = self.client.request(request).await.map_err(|error| {
            let cause = std::iter::successors(error.source(), |&cause| cause.source()).last();
            let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
            Error::Unavailable(format!("{url} cannot be reached: {cause}"))
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let broken = |error| Error::Unavailable(format!("{url} broke off its answer: {error}"));
        let body = body.map_err(broken)?.to_bytes();
        if status.is_success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&body[..body.len().min(SAID_MAX)]).into_owned();
        Err(Error::Unavailable(format!("{url} answered {status}: {said}")))
    }
}

//! A server's questions to its manager.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use failover::{Order, Report};
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// An answer that takes longer is worth nothing: it is asked again.
const ANSWER_MAX: Duration = Duration::from_millis(500);
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// To the manager, who need not be there.
pub(crate) struct Line {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

impl Line {
    pub(crate) fn new(manager: SocketAddr, shard: &str, node: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(ANSWER_MAX));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, url: format!("http://{manager}/shards/{shard}/nodes/{node}") }
    }

    /// Tells, and is told.
    ///
    /// # Errors
    /// If it is not told in time, or something else.
    pub(crate) async fn ask(&self, report: &Report) -> Result<Order> {
        let asked = timeout(ANSWER_MAX, self.answer(report)).await;
        asked.context("no answer in time").and_then(|told| told).with_context(|| self.url.clone())
    }

    async fn answer(&self, report: &Report) -> Result<Order> {
        let request = Request::post(&self.url).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Full::new(serde_json::to_vec(report)?.into()))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer: {error}"))?.to_bytes();
        ensure!(status.is_success(), "{status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}

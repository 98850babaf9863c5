//! A handler that also tells whether it lives, is ready, what it did, and its settings.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::answer::answer;
use crate::{Handler, Metrics, Settings, json, not_allowed, problem};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The paths that are answered here.
const OWN: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/settings"];

/// Says whether a process can do its work.
#[async_trait]
pub trait ReadyCheck: Send + Sync + 'static {
    /// Errors: what is missing, for people.
    async fn ready(&self) -> Result<(), String>;
}

/// Ready as soon as it runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Always;

#[async_trait]
impl ReadyCheck for Always {
    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Answers `/healthz`, `/readyz`, `/metrics` and `/settings`, and measures what the inner handler answers.
pub struct Observed {
    inner: Arc<dyn Handler>,
    ready: Arc<dyn ReadyCheck>,
    metrics: Arc<Metrics>,
    settings: Settings,
}

impl Observed {
    /// Wraps a handler.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Handler>,
        ready: Arc<dyn ReadyCheck>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Self::telling(inner, ready, metrics, Settings::default())
    }

    /// Wraps a handler, with settings to tell.
    #[must_use]
    pub fn telling(
        inner: Arc<dyn Handler>,
        ready: Arc<dyn ReadyCheck>,
        metrics: Arc<Metrics>,
        settings: Settings,
    ) -> Arc<Self> {
        Arc::new(Self { inner, ready, metrics, settings })
    }

    async fn readiness(&self) -> Response<Bytes> {
        match self.ready.ready().await {
            Ok(()) => json(StatusCode::OK, &json!({"status": "ready"})),
            Err(missing) => problem(StatusCode::SERVICE_UNAVAILABLE, "not-ready", &missing),
        }
    }

    async fn measured(&self, request: Request<Bytes>) -> Response<Bytes> {
        let route = self.inner.route(request.method(), request.uri().path());
        let mut asked = self.metrics.asked(request.method(), route);
        let response = self.inner.handle(request).await;
        asked.answered(response.status());
        response
    }
}

#[async_trait]
impl Handler for Observed {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if request.method() != Method::GET && OWN.contains(&path) {
            return not_allowed("GET");
        }
        match path {
            "/healthz" => json(StatusCode::OK, &json!({"status": "alive"})),
            "/readyz" => self.readiness().await,
            "/metrics" => answer(StatusCode::OK, OPEN_METRICS, self.metrics.text().into_bytes()),
            "/settings" => self.settings.answer(),
            _ => self.measured(request).await,
        }
    }

    fn route(&self, method: &Method, path: &str) -> &'static str {
        let own = OWN.into_iter().find(|own| *own == path);
        own.unwrap_or_else(|| self.inner.route(method, path))
    }

    fn connections(&self, open: usize) {
        self.metrics.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.inner.connections(open);
    }
}

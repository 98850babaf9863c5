//! What people and scrapers see of the balancer: health, figures, settings.

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_server::{Handler, Settings, json, not_allowed, problem};
use serde_json::json;

use crate::backend::Backends;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `GET /healthz`, `/readyz` (200 while a replica is up), `/metrics` and `/settings`.
pub struct Door {
    backends: Arc<Backends>,
    settings: Settings,
}

impl Door {
    /// Of these replicas.
    #[must_use]
    pub fn new(backends: Arc<Backends>, settings: Settings) -> Self {
        Self { backends, settings }
    }

    fn ready(&self) -> Response<Bytes> {
        let up = self.backends.all().iter().filter(|backend| backend.is_up()).count();
        if up == 0 {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "no replica is up");
        }
        json(StatusCode::OK, &json!({"status": "ready", "up": up}))
    }

    fn metrics(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(text(&self.backends)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
        response
    }
}

#[async_trait]
impl Handler for Door {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => json(StatusCode::OK, &json!({"status": "alive"})),
            (&Method::GET, "/readyz") => self.ready(),
            (&Method::GET, "/metrics") => self.metrics(),
            (&Method::GET, "/settings") => self.settings.answer(),
            (_, "/healthz" | "/readyz" | "/metrics" | "/settings") => not_allowed("GET"),
            _ => problem(StatusCode::NOT_FOUND, "not-found", "see GET /metrics"),
        }
    }
}

fn text(backends: &Backends) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(usize) -> u64| {
        let suffix = if kind == "counter" { "_total" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "# TYPE balancer_{name} {kind}\n# HELP balancer_{name} {help}.");
        for (index, backend) in backends.all().iter().enumerate() {
            let (address, value) = (backend.address(), value(index));
            let _ = writeln!(text, "balancer_{name}{suffix}{{replica=\"{address}\"}} {value}");
        }
    };
    let all = backends.all();
    family("up", "gauge", "Whether health checks succeed", &|n| u64::from(all[n].is_up()));
    family("left_out", "gauge", "Whether it is left out after failures", &|n| {
        u64::from(all[n].is_out())
    });
    family("in_flight", "gauge", "Requests under way", &|n| all[n].in_flight() as u64);
    family("requests", "counter", "Requests given to it", &|n| all[n].counts()[0]);
    family("failures", "counter", "Requests that failed there", &|n| all[n].counts()[1]);
    family("ejections", "counter", "How often it was left out", &|n| all[n].counts()[2]);
    text + "# EOF\n"
}

//! A bounded HTTP/1.1 server: limits, time-outs, health, metrics, graceful drain.
//!
//! One handler answers whole requests: the body is read, within its limit, before the handler sees
//! it. This crate knows no business, no routes and no clients.

mod answer;
mod connection;
mod context;
mod guard;
mod limits;
mod listen;
mod metrics;
mod observed;
mod pace;
mod secret;
mod serve;
mod settings;
mod signal;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};

pub use answer::{PROBLEM_JSON, PROBLEM_TYPE_PREFIX, hang_up, json, not_allowed, problem};
pub use context::{
    DEADLINE_HEADER, TRACEPARENT_HEADER, carried, detached, for_request, remaining, traceparent,
};
pub use guard::Guard;
pub use limits::{Limits, REQUEST};
pub use listen::{Listen, ListenError};
pub use metrics::Metrics;
pub use observed::{Always, Observed, ReadyCheck};
pub use prometheus_client;
pub use secret::{NoSecret, secret};
pub use serve::serve;
pub use settings::Settings;
pub use signal::shutdown_signal;

/// The header that tells, with the value `none`, that a refused request had no effect.
pub const EFFECT_HEADER: &str = "x-effect";

/// Answers requests.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The answer to one request. Dropped half-way when the client leaves or time runs out.
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes>;
    /// The template that a path belongs to (`/orders/{id}`): a metric label, so few of them.
    fn route(&self, _method: &Method, _path: &str) -> &'static str {
        "other"
    }
    /// Told how many connections are open, whenever that changes.
    fn connections(&self, _open: usize) {}
}

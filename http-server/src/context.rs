//! What a request brings along for the calls made on its behalf: its deadline and its trace.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// How many milliseconds the caller will still wait.
pub const DEADLINE_HEADER: &str = "x-deadline-ms";
/// W3C Trace Context; passed along as it came.
pub const TRACEPARENT_HEADER: &str = "traceparent";

#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) deadline: Instant,
    pub(crate) traceparent: Option<HeaderValue>,
}

tokio::task_local! {
    pub(crate) static CONTEXT: Context;
}

impl Context {
    /// The context of a request that the server grants `most`.
    pub(crate) fn of(headers: &HeaderMap, most: Duration) -> Self {
        let asked = headers.get(DEADLINE_HEADER).and_then(|v| v.to_str().ok()?.parse().ok());
        let granted = asked.map_or(most, |ms| most.min(Duration::from_millis(ms)));
        let traceparent = headers.get(TRACEPARENT_HEADER).cloned();
        Self { deadline: Instant::now() + granted, traceparent }
    }
}

/// When the request that this task handles must be answered; `None` outside of requests.
#[must_use]
pub fn deadline() -> Option<Instant> {
    CONTEXT.try_with(|c| c.deadline).ok()
}

/// What remains of the deadline; zero when it has passed, `None` outside of requests.
#[must_use]
pub fn remaining() -> Option<Duration> {
    deadline().map(|d| d.saturating_duration_since(Instant::now()))
}

/// The `traceparent` of the request that this task handles.
#[must_use]
pub fn traceparent() -> Option<HeaderValue> {
    CONTEXT.try_with(|c| c.traceparent.clone()).ok().flatten()
}

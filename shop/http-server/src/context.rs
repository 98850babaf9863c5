//! What a request brings along for the calls made on its behalf: its deadline and its trace.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// How many milliseconds the caller will still wait.
pub const DEADLINE_HEADER: &str = "x-deadline-ms";
/// W3C Trace Context; passed along as it came.
pub const TRACEPARENT_HEADER: &str = "traceparent";

#[derive(Clone)]
pub(crate) struct Context {
    /// `None` for work that is finished whatever its caller grants.
    pub(crate) deadline: Option<Instant>,
    pub(crate) traceparent: Option<HeaderValue>,
}

tokio::task_local! {
    pub(crate) static CONTEXT: Context;
}

impl Context {
    /// The context of a request that must be answered by then.
    pub(crate) fn of(headers: &HeaderMap, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), traceparent: headers.get(TRACEPARENT_HEADER).cloned() }
    }
}

/// What a request is granted by its caller and by a server that grants `most`; nothing if what the
/// caller says is no whole number of milliseconds.
pub(crate) fn granted(headers: &HeaderMap, most: Duration) -> Option<Duration> {
    let Some(asked) = headers.get(DEADLINE_HEADER) else { return Some(most) };
    let whole = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let digits = asked.to_str().ok().filter(whole)?;
    // So many digits that they are no number here are more than any server grants.
    let ms = digits.parse().unwrap_or(u64::MAX);
    Some(most.min(Duration::from_millis(ms)))
}

/// This work, done for a request with these headers that must be answered by then.
pub fn for_request<W: Future>(
    headers: &HeaderMap,
    deadline: Instant,
    work: W,
) -> impl Future<Output = W::Output> {
    CONTEXT.scope(Context::of(headers, deadline), work)
}

/// What remains of the deadline; zero when it has passed, `None` outside of requests.
#[must_use]
pub fn remaining() -> Option<Duration> {
    let deadline = CONTEXT.try_with(|c| c.deadline).ok().flatten();
    deadline.map(|d| d.saturating_duration_since(Instant::now()))
}

/// This work with the trace of the request that this task handles, and without its deadline: what has
/// begun is finished.
#[must_use]
pub fn detached(work: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
    match traceparent() {
        Some(trace) => {
            let context = Context { deadline: None, traceparent: Some(trace) };
            Box::pin(CONTEXT.scope(context, work))
        }
        None => work,
    }
}

/// This work, for a task of its own, with all that the request of this task brings along.
#[must_use]
pub fn carried(work: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
    match CONTEXT.try_with(Clone::clone) {
        Ok(context) => Box::pin(CONTEXT.scope(context, work)),
        Err(_) => work,
    }
}

/// The `traceparent` of the request that this task handles.
#[must_use]
pub fn traceparent() -> Option<HeaderValue> {
    CONTEXT.try_with(|c| c.traceparent.clone()).ok().flatten()
}

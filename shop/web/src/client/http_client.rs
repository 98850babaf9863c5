//! One pooled HTTP client for all the services that a process calls.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use http_server::{DEADLINE_HEADER, TRACEPARENT_HEADER};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shop::{Error, Result};
use tokio::time::timeout;

use super::manner::{Calls, Came, Manner};
use super::timeouts::CONNECT;
use crate::problem;

/// Shorter than the 75 s after which our servers close: a pooled connection is rarely stale.
const IDLE: Duration = Duration::from_secs(60);
/// Connections kept for later, for each service.
pub const IDLE_MAX: usize = 256;
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A pool of connections. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    /// The calls to one service, if they are made in some manner; else each is made once, and may take as long as it says.
    calls: Option<Arc<Calls>>,
}

/// One request to another service. Doing it twice must be as good as once.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) bearer: Option<HeaderValue>,
    /// What shows whose the body is.
    pub(crate) signature: Option<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// The longest that it may take, unless calls are made in some manner; what remains of the request's deadline may be
    /// less.
    pub(crate) within: Duration,
}

impl Call {
    /// A request without credentials and body.
    pub(crate) fn new(method: Method, uri: &Uri, within: Duration) -> Self {
        Self { method, uri: uri.clone(), bearer: None, signature: None, body: Bytes::new(), within }
    }

    /// With this value as its body.
    pub(crate) fn with(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(Self { body: Bytes::from(body), ..self })
    }
}

/// What another service answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The value that an answer of this status holds; any other status is an error.
    pub(crate) fn parsed<T: DeserializeOwned>(&self, status: StatusCode) -> Result<T> {
        if self.status != status {
            return Err(problem::error(self.status, &self.body));
        }
        let unreadable = |e| Error::Internal(format!("an answer cannot be read: {e}"));
        serde_json::from_slice(&self.body).map_err(unreadable)
    }
}

impl Default for Http {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self { client, calls: None }
    }
}

impl Http {
    /// The same pool, for one service that is called in this manner.
    #[must_use]
    pub fn in_manner(&self, manner: Manner) -> Self {
        Self { client: self.client.clone(), calls: Some(Arc::new(Calls::new(manner))) }
    }

    /// The answer, whatever its status. Errors: `Unavailable`, `TimedOut`.
    ///
    /// The server may close a pooled connection while a request is on its way to it. Then no answer
    /// comes, and the call is made once more.
    pub(crate) async fn call(&self, call: Call) -> Result<Answer> {
        let left = http_server::remaining();
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Error::TimedOut(format!("no time was left to ask {}", call.uri)));
        }
        match &self.calls {
            None => {
                let granted = left.map_or(call.within, |left| left.min(call.within));
                self.once(call, Some(granted)).await
            }
            Some(calls) => calls.make(left, judged, |within| self.once(call.clone(), within)).await,
        }
    }

    /// One try, which may take so long.
    async fn once(&self, call: Call, granted: Option<Duration>) -> Result<Answer> {
        let uri = call.uri.clone();
        let exchange = self.exchange(call, granted);
        let Some(granted) = granted else { return exchange.await };
        let late = |_| Error::TimedOut(format!("{uri} did not answer within {granted:?}"));
        timeout(granted, exchange).await.map_err(late)?
    }

    async fn exchange(&self, call: Call, granted: Option<Duration>) -> Result<Answer> {
        match self.client.request(request(call.clone(), granted)).await {
            Err(error) if unanswered(&error) => {}
            other => return answer(other, &call.uri).await,
        }
        let uri = call.uri.clone();
        answer(self.client.request(request(call, granted)).await, &uri).await
    }
}

/// What came of a try. Where nobody answered, or the answer says so, that may be over soon.
fn judged(answer: &Result<Answer>) -> Came {
    match answer {
        Ok(answer) => match answer.status.as_u16() {
            408 | 504 => Came::Late,
            429 | 500 | 502 | 503 => Came::Failed,
            _ => Came::Good,
        },
        Err(Error::TimedOut(_)) => Came::Late,
        Err(Error::Unavailable(_)) => Came::Failed,
        Err(_) => Came::Good,
    }
}

fn request(call: Call, granted: Option<Duration>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(call.body));
    *request.method_mut() = call.method;
    *request.uri_mut() = call.uri;
    let headers = request.headers_mut();
    if let Some(granted) = granted {
        // Not less: who gives up there, before we do here, tells nothing of how long it takes.
        let ms = u64::try_from(granted.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        headers.insert(DEADLINE_HEADER, HeaderValue::from(ms));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(bearer) = call.bearer {
        headers.insert(AUTHORIZATION, bearer);
    }
    if let Some((name, signature)) = call.signature {
        headers.insert(name, signature);
    }
    if let Some(trace) = http_server::traceparent() {
        headers.insert(TRACEPARENT_HEADER, trace);
    }
    request
}

type Sent = std::result::Result<http::Response<hyper::body::Incoming>, Failure>;
type Failure = hyper_util::client::legacy::Error;

async fn answer(sent: Sent, uri: &Uri) -> Result<Answer> {
    let response = sent.map_err(|error| failed(&error, uri))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let broken = |error| Error::Unavailable(format!("{uri} broke off its answer: {error}"));
    Ok(Answer { status, body: body.map_err(broken)?.to_bytes() })
}

fn failed(error: &Failure, uri: &Uri) -> Error {
    let cause = innermost(error);
    if io_kind(error) == Some(std::io::ErrorKind::TimedOut) {
        return Error::TimedOut(format!("{uri} cannot be reached: {cause}"));
    }
    let what = if error.is_connect() { "cannot be reached" } else { "broke the connection" };
    Error::Unavailable(format!("{uri} {what}: {cause}"))
}

/// Whether the connection ended after the request was sent and before an answer came.
fn unanswered(error: &Failure) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    let ended = causes(error).any(|cause| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
    });
    !error.is_connect() && (ended || matches!(io_kind(error), Some(BrokenPipe | ConnectionReset)))
}

fn io_kind(error: &Failure) -> Option<std::io::ErrorKind> {
    causes(error).find_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()))
}

fn innermost(error: &Failure) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes(error: &Failure) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

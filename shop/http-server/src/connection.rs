//! One connection: its requests one after another, each within its limits.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer::{HangUp, PROBLEM_TYPE_PREFIX};
use crate::context::{CONTEXT, Context, granted};
use crate::pace::{Pace, Paced, Watch};
use crate::{Handler, Limits, problem};

const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What is read of a refused body, so that the client gets to read the refusal: closing a socket
/// that holds unread bytes resets the connection.
const REFUSED_BYTES_MAX: usize = 256 * 1024;

/// An answer of more bytes than this needs room among those that clients have not taken.
const LONG_BYTES: usize = 64 * 1024;

/// What all connections of a server share.
pub(crate) struct Server {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) limits: Limits,
    /// Bytes of long answers that may wait for their clients.
    pub(crate) unread: Arc<Semaphore>,
}

impl Server {
    pub(crate) fn new(handler: Arc<dyn Handler>, limits: Limits) -> Self {
        let unread = limits.unread_bytes_max.min(Semaphore::MAX_PERMITS);
        Self { handler, limits, unread: Arc::new(Semaphore::new(unread)) }
    }
}

/// Serves a connection until it ends, exceeds a limit, or the server stops.
pub(crate) async fn converse(
    stream: TcpStream,
    server: Arc<Server>,
    mut stopping: watch::Receiver<bool>,
) {
    let limits = &server.limits;
    let pace = Pace::default();
    let mut watch = Watch::new(pace.clone());
    let io = TokioIo::new(Paced { stream, pace: pace.clone() });
    let service = service_fn(|request| respond(request, &server, &pace));
    let mut connection = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .max_header_size(HEAD_BYTES_MAX)
            .serve_connection(io, service)
    );
    let mut stopped = false;
    let mut look = pin!(sleep(Watch::every(limits, stopped)));
    loop {
        tokio::select! {
            biased;
            _ended = connection.as_mut() => return,
            () = look.as_mut() => {
                if watch.exceeded(limits, stopped) {
                    if watch.writes() {
                        process_log::tell("slow-reader", || []);
                    }
                    return;
                }
            }
            // An error says that the server is gone: stop as well.
            _changed = stopping.changed(), if !stopped => {
                stopped = true;
                connection.as_mut().graceful_shutdown();
            }
        }
        look.as_mut().reset(Instant::now() + Watch::every(limits, stopped));
    }
}

async fn respond(
    request: Request<Incoming>,
    server: &Server,
    pace: &Pace,
) -> Result<Response<Full<Bytes>>, HangUp> {
    pace.request();
    let method = request.method().clone();
    let route = server.handler.route(&method, request.uri().path());
    let response = answered(request, &*server.handler, &server.limits).await;
    let response = kept(response, &server.unread);
    if response.status().is_server_error() {
        tell(&method, route, &response);
    }
    pace.answer();
    match response.extensions().get::<HangUp>() {
        None => Ok(response.map(Full::new)),
        Some(hang_up) => Err(*hang_up),
    }
}

fn tell(method: &Method, route: &str, response: &Response<Bytes>) {
    process_log::tell("answered-5xx", || {
        let problem: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let kind = problem["type"].as_str().unwrap_or_default();
        [
            ("method", method.as_str().into()),
            ("route", route.into()),
            ("status", response.status().as_u16().into()),
            ("kind", kind.trim_start_matches(PROBLEM_TYPE_PREFIX).into()),
            ("detail", problem["detail"].clone()),
        ]
    });
}

/// A long answer, with its part of the room until its client has taken it; without room, a refusal.
fn kept(response: Response<Bytes>, room: &Arc<Semaphore>) -> Response<Bytes> {
    let length = response.body().len();
    if length <= LONG_BYTES {
        return response;
    }
    let bytes = u32::try_from(length).unwrap_or(u32::MAX);
    match Arc::clone(room).try_acquire_many_owned(bytes) {
        Ok(part) => response.map(|body| Bytes::from_owner(Kept { body, _part: part })),
        Err(_) => {
            let text = "too many clients are slow to read their answers";
            let mut refused = problem(StatusCode::SERVICE_UNAVAILABLE, "busy", text);
            refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            refused
        }
    }
}

/// Bytes that give their part of the room back when nobody needs them any more.
struct Kept {
    body: Bytes,
    _part: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

async fn answered(
    request: Request<Incoming>,
    handler: &dyn Handler,
    limits: &Limits,
) -> Response<Bytes> {
    let granted = granted(request.headers(), limits.request);
    let Some(granted) = granted.filter(|time| !time.is_zero()) else {
        let unread = discard(request.into_body());
        let _late = timeout_at(Instant::now() + limits.request, unread).await;
        return ungranted(granted);
    };
    let deadline = Instant::now() + granted;
    let context = Context::of(request.headers(), deadline);
    let (head, body) = request.into_parts();
    match timeout_at(deadline, whole(body, limits.body_bytes_max)).await {
        Ok(Ok(body)) => {
            let request = Request::from_parts(head, body);
            timeout_at(deadline, CONTEXT.scope(context, handler.handle(request)))
                .await
                .unwrap_or_else(|_| out_of_time())
        }
        Ok(Err(refusal)) => refusal,
        Err(_) => untouched(StatusCode::REQUEST_TIMEOUT, "slow-body", "the body came too slowly"),
    }
}

/// The whole body, or the answer that refuses it.
async fn whole(mut body: Incoming, most: usize) -> Result<Bytes, Response<Bytes>> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let most_u64 = most as u64;
    if body.size_hint().lower() > most_u64 {
        discard(body).await;
        return Err(too_long(most));
    }
    let mut whole = Bytes::new();
    while let Some(frame) = body.frame().await {
        let broken = |_| untouched(StatusCode::BAD_REQUEST, "broken-body", "the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if whole.len() + data.len() > most {
            discard(body).await;
            return Err(too_long(most));
        }
        whole = if whole.is_empty() { data } else { joined(&whole, &data) };
    }
    Ok(whole)
}

fn joined(a: &Bytes, b: &Bytes) -> Bytes {
    let mut both = BytesMut::with_capacity(a.len() + b.len());
    both.extend_from_slice(a);
    both.extend_from_slice(b);
    both.freeze()
}

async fn discard(mut body: Incoming) {
    let mut left = REFUSED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length > left {
            return;
        }
        left -= length;
    }
}

fn too_long(most: usize) -> Response<Bytes> {
    let text = format!("a body has at most {most} bytes");
    untouched(StatusCode::PAYLOAD_TOO_LARGE, "body-too-long", &text)
}

fn ungranted(granted: Option<Duration>) -> Response<Bytes> {
    if granted.is_some() {
        return untouched(StatusCode::GATEWAY_TIMEOUT, "timed-out", "no time was granted");
    }
    let text = "x-deadline-ms is a whole number of milliseconds";
    untouched(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text)
}

fn out_of_time() -> Response<Bytes> {
    problem(StatusCode::GATEWAY_TIMEOUT, "timed-out", "the request ran out of time")
}

/// A refusal that comes before the handler: certainly without effect.
fn untouched(status: StatusCode, kind: &str, detail: &str) -> Response<Bytes> {
    let mut response = problem(status, kind, detail);
    let none = HeaderValue::from_static("none");
    response.headers_mut().insert(crate::EFFECT_HEADER, none);
    response
}

//! One connection: its requests one after another, each within its limits.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer::HangUp;
use crate::context::{CONTEXT, Context, granted};
use crate::pace::{Pace, Paced, Watch};
use crate::{Handler, Limits, problem};

const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What is read of a refused body, so that the client gets to read the refusal: closing a socket
/// that holds unread bytes resets the connection.
const REFUSED_BYTES_MAX: usize = 256 * 1024;

/// Serves a connection until it ends, exceeds a limit, or the server stops.
pub(crate) async fn converse(
    stream: TcpStream,
    handler: Arc<dyn Handler>,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let pace = Pace::default();
    let mut watch = Watch::new(pace.clone());
    let io = TokioIo::new(Paced { stream, pace: pace.clone() });
    let service = service_fn(|request| respond(request, &*handler, &limits, &pace));
    let mut connection = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .max_header_size(HEAD_BYTES_MAX)
            .serve_connection(io, service)
    );
    let mut stopped = false;
    let mut look = pin!(sleep(Watch::every(&limits, stopped)));
    loop {
        tokio::select! {
            biased;
            _ended = connection.as_mut() => return,
            () = look.as_mut() => {
                if watch.exceeded(&limits, stopped) {
                    return;
                }
            }
            // An error says that the server is gone: stop as well.
            _changed = stopping.changed(), if !stopped => {
                stopped = true;
                connection.as_mut().graceful_shutdown();
            }
        }
        look.as_mut().reset(Instant::now() + Watch::every(&limits, stopped));
    }
}

async fn respond(
    request: Request<Incoming>,
    handler: &dyn Handler,
    limits: &Limits,
    pace: &Pace,
) -> Result<Response<Full<Bytes>>, HangUp> {
    pace.request();
    let response = answered(request, handler, limits).await;
    pace.idle();
    match response.extensions().get::<HangUp>() {
        None => Ok(response.map(Full::new)),
        Some(hang_up) => Err(*hang_up),
    }
}

async fn answered(
    request: Request<Incoming>,
    handler: &dyn Handler,
    limits: &Limits,
) -> Response<Bytes> {
    let granted = granted(request.headers(), limits.request);
    if granted.is_zero() {
        return untouched(StatusCode::GATEWAY_TIMEOUT, "timed-out", "no time was granted");
    }
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

fn out_of_time() -> Response<Bytes> {
    problem(StatusCode::GATEWAY_TIMEOUT, "timed-out", "the request ran out of time")
}

/// A refusal that comes before the handler: certainly without effect.
fn untouched(status: StatusCode, kind: &str, detail: &str) -> Response<Bytes> {
    let mut response = problem(status, kind, detail);
    let none = http::HeaderValue::from_static("none");
    response.headers_mut().insert(crate::EFFECT_HEADER, none);
    response
}

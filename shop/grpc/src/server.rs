//! A payments service behind a socket, for who shows its token.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_server::{Guard, for_request};
use shop::{Charge, Charged, Error, Payments};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::messages::{ChargeRequest, Settlement};
use crate::status::status;
use crate::{CANCEL, CHARGE, MESSAGE_MAX, timeout};

/// Calls at once on one connection: as many as connections over HTTP.
const STREAMS_MAX: u32 = 1_000;
const PROBED_AFTER: Duration = Duration::from_secs(10);

/// Serves until `shutdown`; then what is under way is finished.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    payments: Arc<dyn Payments>,
    guard: Guard,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = Service { payments, guard: Arc::new(guard) };
    let server = Server::builder().max_concurrent_streams(STREAMS_MAX);
    let server = server.http2_keepalive_interval(Some(PROBED_AFTER));
    server.serve_with_incoming_shutdown(service, incoming, shutdown).await
}

#[derive(Clone)]
struct Service {
    payments: Arc<dyn Payments>,
    guard: Arc<Guard>,
}

/// One method, for one request.
struct Method {
    service: Service,
    is_charge: bool,
    headers: HeaderMap,
}

impl UnaryService<ChargeRequest> for Method {
    type Response = Settlement;
    type Future = BoxFuture<'static, Result<tonic::Response<Settlement>, Status>>;

    fn call(&mut self, request: tonic::Request<ChargeRequest>) -> Self::Future {
        let Self { service: Service { payments, guard }, is_charge, headers } = self;
        let (payments, headers, is_charge) = (Arc::clone(payments), headers.clone(), *is_charge);
        let is_known = is_known(guard, &headers);
        Box::pin(async move {
            if !is_known {
                return Err(Status::unauthenticated("a bearer token is needed"));
            }
            let charge = Charge::from(request.into_inner());
            let granted = granted(&headers)?;
            let deadline = Instant::now() + granted;
            let work = async {
                if is_charge {
                    payments.charge(charge).await
                } else {
                    payments.cancel(charge).await
                }
            };
            let done = timeout_at(deadline, for_request(&headers, deadline, work)).await;
            let late = || Error::TimedOut(format!("not done within {granted:?}"));
            let charged: Result<Charged, Error> = done.unwrap_or_else(|_| Err(late()));
            charged.map(|charged| tonic::Response::new(charged.into())).map_err(|e| status(&e))
        })
    }
}

/// Whether the token is shown that lets services in.
fn is_known(guard: &Guard, headers: &HeaderMap) -> bool {
    let mut shown = Request::new(Bytes::new());
    shown.headers_mut().clone_from(headers);
    guard.knows(&shown)
}

/// What a request is granted by its caller, and by us at most.
fn granted(headers: &HeaderMap) -> Result<Duration, Status> {
    let Some(asked) = headers.get(timeout::HEADER) else { return Ok(http_server::REQUEST) };
    let asked = asked.to_str().ok().and_then(timeout::parse);
    let asked = asked.ok_or_else(|| Status::invalid_argument("grpc-timeout: expected as 250m"))?;
    Ok(asked.min(http_server::REQUEST))
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_charge = match request.uri().path() {
            CHARGE => true,
            CANCEL => false,
            _ => return Box::pin(async { Ok(unknown()) }),
        };
        let headers = request.headers().clone();
        let method = Method { service: self.clone(), is_charge, headers };
        Box::pin(async move {
            let grpc = Grpc::new(ProstCodec::default());
            let mut grpc = grpc.max_decoding_message_size(MESSAGE_MAX);
            Ok(grpc.unary(method, request).await)
        })
    }
}

fn unknown() -> Response<Body> {
    Status::new(Code::Unimplemented, "no such method").into_http()
}

//! The same answer from this server, from this server with metrics, and from bare hyper: what the
//! limits cost. `echo bounded|observed|bare ADDRESS:PORT`, then a load generator on each.

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use http_server::{Always, Handler, Limits, Observed, serve, shutdown_signal};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        Response::new(request.into_body())
    }
}

#[tokio::main(worker_threads = 1)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: echo bounded|observed|bare ADDRESS:PORT");
    let kind = next()?;
    let listener = TcpListener::bind(next()?).await?;
    if kind == "bare" {
        return bare(listener).await;
    }
    let handler: Arc<dyn Handler> = match kind.as_str() {
        "observed" => Observed::new(Arc::new(Echo), Arc::new(Always), Arc::default()),
        _ => Arc::new(Echo),
    };
    Ok(serve(listener, handler, Limits::default(), shutdown_signal()?).await?)
}

async fn bare(listener: TcpListener) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(echo)),
        );
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    Ok(Response::new(Full::new(body)))
}

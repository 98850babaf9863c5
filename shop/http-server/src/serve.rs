//! Accepts connections, a bounded number of them, until told to stop; then drains.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection::{Server, converse};
use crate::{Handler, Limits};

/// The pause after a failed accept: out of descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that are being told they are too many; yet another is closed without a word.
const REFUSALS_MAX: usize = 64;
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// Said to a connection beyond the limit, before its request is read: nothing was done.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\nretry-after: 1\r\nx-effect: none\r\n\
    connection: close\r\ncontent-length: 120\r\n\r\n\
    {\"type\":\"urn:triptych:problem:busy\",\"title\":\"Service Unavailable\",\
    \"status\":503,\"detail\":\"too many connections are open\"}";

/// Answers requests on this listener until `shutdown` ends; then closes the listener and grants
/// `limits.drain` to the requests in flight.
///
/// # Errors
/// If the socket is not one that can accept.
pub async fn serve(
    listener: TcpListener,
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    boxed(listener, handler, limits, Box::pin(shutdown)).await
}

/// In a box, the future is compiled here and not once more in each program that waits for it (decision 38).
fn boxed<'s>(
    listener: TcpListener,
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: BoxFuture<'s, ()>,
) -> BoxFuture<'s, io::Result<()>> {
    Box::pin(accept(listener, handler, limits, shutdown))
}

async fn accept(
    listener: TcpListener,
    handler: Arc<dyn Handler>,
    limits: Limits,
    mut shutdown: BoxFuture<'_, ()>,
) -> io::Result<()> {
    let server = Arc::new(Server::new(Arc::clone(&handler), limits));
    let (stop, stopping) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut refused = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            Some(_) = open.join_next() => handler.connections(open.len()),
            Some(_) = refused.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if open.len() < limits.connections_max => {
                    // Without it an answer may wait for the acknowledgement of the one before.
                    let _ = stream.set_nodelay(true);
                    open.spawn(converse(stream, Arc::clone(&server), stopping.clone()));
                    handler.connections(open.len());
                }
                Ok((stream, _)) if refused.len() < REFUSALS_MAX => {
                    let open = open.len();
                    process_log::tell("refused-connection", || [("open", open.into())]);
                    refused.spawn(timeout(REFUSAL_TIME, refuse(stream)));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
                Err(error) => {
                    process_log::tell("cannot-accept", || [("error", error.to_string().into())]);
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // No connection is open when nobody listens.
    let _ = stop.send(true);
    let _ = timeout(limits.drain, async { while open.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Waits for the request, so that closing does not reset the answer away.
async fn refuse(mut stream: TcpStream) {
    let mut request = [0; 2048];
    // Whatever fails here, the connection is closed next.
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(REFUSAL).await;
    let _ = stream.shutdown().await;
}

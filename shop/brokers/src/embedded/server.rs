//! Accepts clients. The caller owns the socket, the queue and the signal.

use process_log::tell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;
use super::queue::Queue;

/// Clients at once; more wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 256;
/// How long a stop waits for what is under way.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// After a refused accept (no file descriptors) the next is tried.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves the queue until `shutdown`, then finishes what is under way, for at most 5 s.
///
/// Whoever reaches the listener may publish and consume: bind it to loopback.
pub async fn serve(listener: TcpListener, queue: Arc<Queue>, shutdown: impl Future<Output = ()>) {
    let closing = CancellationToken::new();
    let clients = TaskTracker::new();
    tokio::select! {
        () = shutdown => {}
        () = accept_all(listener, &queue, &clients, &closing) => {}
        never = queue.work() => match never {},
    }
    closing.cancel();
    clients.close();
    tokio::select! {
        // What is not finished by then is unknown to its client, as after a crash.
        _ = timeout(DRAIN_MAX, clients.wait()) => {}
        never = queue.work() => match never {},
    }
}

async fn accept_all(
    listener: TcpListener,
    queue: &Arc<Queue>,
    clients: &TaskTracker,
    closing: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let socket = accept(&listener).await;
        let (queue, closing) = (Arc::clone(queue), closing.child_token());
        clients.spawn(async move {
            connection::serve(socket, queue, closing).await;
            drop(place);
        });
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return socket,
            Err(error) => {
                tell("cannot-accept", || [("error", error.to_string().into())]);
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

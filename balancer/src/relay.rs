//! A client's connection: its requests are given to replicas one after the other, and their answers brought back.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::Method;
use process_log::tell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::{Backends, Given};
use crate::message::{Head, Malformed, Of, Progress, head};

/// Bytes that a head may have.
const HEAD_MAX: usize = 16 * 1024;
/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;
/// After a refused accept (no file descriptors) the next is tried.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// How long is waited for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a client: its next request, or more of one.
    pub client: Duration,
    /// For a replica's answer, or more of it.
    pub replica: Duration,
    /// How often a request of which nothing was sent is tried elsewhere.
    pub elsewhere: u32,
    /// For what is under way when it is told to end.
    pub drain: Duration,
}

/// Passes on what clients of this listener ask, until `shutdown`; then finishes what is under way.
pub async fn serve(
    listener: TcpListener,
    backends: Arc<Backends>,
    patience: Patience,
    shutdown: impl Future<Output = ()>,
) {
    let (stopping, clients) = (CancellationToken::new(), TaskTracker::new());
    tokio::select! {
        () = shutdown => {}
        () = accept_all(listener, &backends, patience, &clients, &stopping) => {}
    }
    stopping.cancel();
    clients.close();
    // What is not finished by then is cut off.
    let _ = timeout(patience.drain, clients.wait()).await;
}

async fn accept_all(
    listener: TcpListener,
    backends: &Arc<Backends>,
    patience: Patience,
    clients: &TaskTracker,
    stopping: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(backends.limits.clients));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let (stream, peer) = loop {
            match listener.accept().await {
                Ok(accepted) => break accepted,
                Err(error) => {
                    tell("cannot-accept", || [("error", error.to_string().into())]);
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        };
        // Without it an answer may wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let (backends, stopping) = (Arc::clone(backends), stopping.clone());
        clients.spawn(async move {
            let mut relay = Relay::new(stream, peer, backends, patience, stopping);
            // A connection that breaks concerns who had it alone.
            let _ = relay.converse().await;
            drop(place);
        });
    }
}

/// Bytes that were read and not used.
struct Reading {
    stream: TcpStream,
    bytes: BytesMut,
    patience: Duration,
}

impl Reading {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, bytes: BytesMut::with_capacity(READ_BYTES), patience }
    }

    /// Reads on: false at the end.
    async fn more(&mut self) -> io::Result<bool> {
        self.bytes.reserve(READ_BYTES);
        let read = timeout(self.patience, self.stream.read_buf(&mut self.bytes)).await;
        Ok(read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? > 0)
    }

    /// The next head; none if the connection ends before it.
    async fn head(&mut self, of: Of<'_>) -> Result<Option<(Head, Method)>, Broken> {
        loop {
            if !self.bytes.is_empty()
                && let Some((head, method, end)) = head(&self.bytes, of)?
            {
                if end > HEAD_MAX {
                    return Err(Broken::Malformed(Malformed::Head));
                }
                self.bytes.advance(end);
                return Ok(Some((head, method)));
            }
            if self.bytes.len() > HEAD_MAX {
                return Err(Broken::Malformed(Malformed::Head));
            }
            if !self.more().await? {
                let is_clean = self.bytes.is_empty();
                return if is_clean {
                    Ok(None)
                } else {
                    Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()))
                };
            }
        }
    }
}

/// Why a message cannot be passed on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Io(#[from] io::Error),
}

struct Relay {
    client: Reading,
    from: IpAddr,
    backends: Arc<Backends>,
    patience: Patience,
    stopping: CancellationToken,
    out: Vec<u8>,
}

/// What becomes of the client's connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Next,
    Close,
}

impl Relay {
    fn new(
        stream: TcpStream,
        peer: SocketAddr,
        backends: Arc<Backends>,
        patience: Patience,
        stopping: CancellationToken,
    ) -> Self {
        let client = Reading::new(stream, patience.client);
        Self { client, from: peer.ip(), backends, patience, stopping, out: Vec::new() }
    }

    async fn converse(&mut self) -> Result<(), Broken> {
        loop {
            let backends = Arc::clone(&self.backends);
            let stopping = self.stopping.clone();
            let read = tokio::select! {
                biased;
                read = self.client.head(Of::Request { key: backends.key() }) => read,
                // Who is between two requests has been served.
                () = stopping.cancelled(), if self.client.bytes.is_empty() => return Ok(()),
            };
            let (head, method) = match read {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(()),
                Err(Broken::Malformed(why)) => {
                    self.refuse(400, &why.to_string(), Then::Close).await?;
                    return Ok(());
                }
                Err(broken) => return Err(broken),
            };
            if self.exchange(head, method).await? == Then::Close {
                self.client.stream.shutdown().await?;
                return Ok(());
            }
        }
    }

    /// One request and its answer.
    async fn exchange(&mut self, request: Head, method: Method) -> Result<Then, Broken> {
        let mut then = if request.keeps_open { Then::Next } else { Then::Close };
        let mut body = Progress::of(request.body);
        if request.expects {
            self.client.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let Some((given, stream)) = self.connected(request.key).await else {
            self.discard(&mut body).await?;
            self.refuse(503, "no replica can be reached; nothing was sent", then).await?;
            return Ok(then);
        };
        let mut replica = Reading::new(stream, self.patience.replica);
        // Whoever answers early reads no further.
        let sent = self.send(&request, &mut body, &mut replica.stream).await?;
        let answer = replica.head(Of::Answer { to: &method });
        let answer = match answer.await {
            Ok(Some((head, _))) => head,
            Ok(None) => {
                return self.fail(&given, 502, "the replica closed the connection", then).await;
            }
            Err(Broken::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return self.fail(&given, 504, "the replica did not answer in time", then).await;
            }
            Err(broken) => return self.fail(&given, 502, &broken.to_string(), then).await,
        };
        self.backends.answered(&given, answer.status);
        if !sent
            || !body.is_over()
            || answer.body == crate::message::Body::Rest
            || self.stopping.is_cancelled()
        {
            then = Then::Close;
        }
        let is_whole = self.bring(&answer, &mut replica, then).await?;
        if is_whole && sent && answer.keeps_open && replica.bytes.is_empty() {
            given.backend.keep(replica.stream, self.backends.limits);
        }
        Ok(if is_whole { then } else { Then::Close })
    }

    /// A replica, and a connection to it; none if none can be reached.
    async fn connected(&self, key: Option<u64>) -> Option<(Given, TcpStream)> {
        let mut tried = Vec::new();
        while tried.len() <= self.patience.elsewhere as usize {
            let given = self.backends.give(key, &tried)?;
            match given.backend.connection(self.backends.limits).await {
                Ok(stream) => return Some((given, stream)),
                Err(_) => {
                    self.backends.failed(&given);
                    tried.push(given.index);
                }
            }
        }
        None
    }

    /// Sends the request; false if the replica takes no more of it.
    async fn send(
        &mut self,
        request: &Head,
        body: &mut Progress,
        replica: &mut TcpStream,
    ) -> Result<bool, Broken> {
        self.out.clear();
        self.out.extend_from_slice(&request.bytes);
        self.out.extend_from_slice(b"x-forwarded-for: ");
        self.out.extend_from_slice(self.from.to_string().as_bytes());
        self.out.extend_from_slice(b"\r\n\r\n");
        loop {
            let taken = body.take(&self.client.bytes)?;
            self.out.extend_from_slice(&self.client.bytes[..taken]);
            self.client.bytes.advance(taken);
            if replica.write_all(&self.out).await.is_err() {
                return Ok(false);
            }
            self.out.clear();
            if body.is_over() {
                return Ok(true);
            }
            if !self.client.more().await? {
                return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Brings the answer back; false if it is not whole.
    async fn bring(
        &mut self,
        answer: &Head,
        replica: &mut Reading,
        then: Then,
    ) -> Result<bool, Broken> {
        self.out.clear();
        self.out.extend_from_slice(&answer.bytes);
        if then == Then::Close {
            self.out.extend_from_slice(b"connection: close\r\n");
        }
        self.out.extend_from_slice(b"\r\n");
        let mut body = Progress::of(answer.body);
        loop {
            let taken = body.take(&replica.bytes)?;
            self.out.extend_from_slice(&replica.bytes[..taken]);
            replica.bytes.advance(taken);
            self.client.stream.write_all(&self.out).await?;
            self.out.clear();
            if body.is_over() {
                return Ok(true);
            }
            match replica.more().await {
                Ok(true) => {}
                Ok(false) => return Ok(matches!(body, Progress::Rest)),
                Err(_) => return Ok(false),
            }
        }
    }

    /// The replica did not answer: what became of the request is unknown.
    async fn fail(
        &mut self,
        given: &Given,
        status: u16,
        why: &str,
        then: Then,
    ) -> Result<Then, Broken> {
        self.backends.failed(given);
        self.refuse(status, why, then).await?;
        Ok(then)
    }

    /// Reads a body that nobody gets.
    async fn discard(&mut self, body: &mut Progress) -> Result<(), Broken> {
        loop {
            let taken = body.take(&self.client.bytes)?;
            self.client.bytes.advance(taken);
            if body.is_over() {
                return Ok(());
            }
            if !self.client.more().await? {
                return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// An answer of the balancer's own.
    async fn refuse(&mut self, status: u16, why: &str, then: Then) -> Result<(), Broken> {
        let (title, kind) = match status {
            400 => ("Bad Request", "invalid"),
            502 => ("Bad Gateway", "replica-failed"),
            503 => ("Service Unavailable", "unavailable"),
            _ => ("Gateway Timeout", "replica-silent"),
        };
        let kind = format!("{}{kind}", http_server::PROBLEM_TYPE_PREFIX);
        let problem =
            serde_json::json!({"type": kind, "title": title, "status": status, "detail": why});
        let (body, content) = (problem.to_string(), http_server::PROBLEM_JSON);
        let effect = match status {
            503 => format!("retry-after: 1\r\n{}: none\r\n", http_server::EFFECT_HEADER),
            _ => String::new(),
        };
        let close = if then == Then::Close { "connection: close\r\n" } else { "" };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} {title}\r\ncontent-type: {content}\r\n{effect}{close}content-length: {length}\r\n\r\n{body}"
        );
        Ok(self.client.stream.write_all(answer.as_bytes()).await?)
    }
}

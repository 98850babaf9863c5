//! Connections to an AMQP 0-9-1 server: one to publish by, one to consume by, since a server that is short of
//! memory reads no more from who publishes. It knows no consumer.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind, Queue,
};
use tokio::time::{sleep, timeout};

use super::Kind;
use crate::lazy::Lazy;
use crate::{Error, Result};

/// How long a server may take to let us in.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// After this an answer is not expected any more.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Nothing that takes several answers lasts longer: the first of them that does not come shows in time.
const WORK_MAX: Duration = Duration::from_secs(8);
/// How soon after each other both sides say that they are there; who misses two is taken to be away, and what
/// it has is given to others: at most a lease later.
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);
/// Newer servers give a message up that came again twenty times: ours are given up by our own count.
const DELIVERIES_MAX: i32 = 1_000_000_000;
/// Written to the disk.
const PERSISTENT: u8 = 2;
/// How often who waits for a confirmation looks whether the server has stopped to read.
const LOOK: Duration = Duration::from_millis(100);
const ALARM: &str = "it takes no messages now: short of memory or of disk, by limits of its own";
/// What stands before the bytes that it carries at most, where it refuses more.
const LARGEST: &str = "larger than configured max size ";

pub(super) struct Line {
    /// `USER:PASSWORD@HOST:PORT` each, of which the first that answers is used.
    servers: Vec<String>,
    /// The servers without names and passwords.
    shown: String,
    kind: Kind,
    heartbeat_s: u64,
    publishing: Lazy<Open>,
    consuming: Lazy<Arc<Connection>>,
    /// Bytes that a body may have: the server tells only whom it refuses.
    largest: AtomicUsize,
}

/// A channel that is open, and the connection that it is of.
#[derive(Clone)]
pub(super) struct Open {
    pub(super) channel: Channel,
    connection: Arc<Connection>,
}

impl Open {
    pub(super) fn is_good(&self) -> bool {
        self.channel.status().connected() && self.connection.status().connected()
    }

    /// Waits until the server says that it reads no more from who publishes.
    async fn blocked(&self) {
        while !self.connection.status().blocked() {
            sleep(LOOK).await;
        }
    }
}

impl Line {
    pub(super) fn new(kind: Kind, address: &str, lease: Duration) -> Self {
        let servers: Vec<String> = address.split(',').map(str::to_owned).collect();
        let hosts = servers.iter().map(|server| server.rsplit('@').next().unwrap_or_default());
        let shown = format!("{} at {}", kind.scheme(), hosts.collect::<Vec<_>>().join(","));
        let heartbeat_s = (lease / 2).min(HEARTBEAT_MAX).as_secs().max(1);
        let (publishing, consuming) = Default::default();
        let largest = AtomicUsize::new(usize::MAX);
        Self { servers, shown, kind, heartbeat_s, publishing, consuming, largest }
    }

    async fn connect(&self) -> Result<Arc<Connection>> {
        let mut why = self.unavailable("no address");
        for server in &self.servers {
            match self.connect_to(server).await {
                Ok(connection) => return Ok(Arc::new(connection)),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    async fn connect_to(&self, server: &str) -> Result<Connection> {
        let place = if server.contains('/') { "" } else { "/%2f" };
        let uri = format!("amqp://{server}{place}?heartbeat={}", self.heartbeat_s);
        let uri = uri.parse::<AMQPUri>();
        let uri = uri.map_err(|why| Error::Invalid(format!("{}: {why}", self.shown)))?;
        let connecting = Connection::connect_uri(uri, ConnectionProperties::default());
        match timeout(CONNECT_MAX, connecting).await {
            Ok(made) => made.map_err(|error| self.meaning(&error)),
            Err(_) => Err(self.unavailable("no answer within 2 s")),
        }
    }

    /// A channel of its own on the connection that consumes.
    pub(super) async fn open(&self) -> Result<Open> {
        let good = |connection: &Arc<Connection>| connection.status().connected();
        let connection = self.consuming.get(good, self.connect()).await?;
        let channel = self.answered(connection.create_channel()).await?;
        Ok(Open { channel, connection })
    }

    async fn publishing(&self) -> Result<Open> {
        let make = async {
            let connection = self.connect().await?;
            let channel = self.answered(connection.create_channel()).await?;
            self.answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
            Ok(Open { channel, connection })
        };
        self.publishing.get(Open::is_good, make).await
    }

    /// Makes sure that a queue is there; tells how many messages it has that nobody has.
    pub(super) async fn declare(&self, queue: &str) -> Result<u64> {
        if self.servers.len() > 1 {
            if let Some(count) = self.declared(queue, true).await? {
                return Ok(count);
            }
            self.all_are_there().await?;
        }
        let count = self.declared(queue, false).await?;
        count.ok_or_else(|| self.unavailable("the queue is not there"))
    }

    /// A queue is for ever on those nodes that are there when it is made.
    async fn all_are_there(&self) -> Result<()> {
        for server in &self.servers {
            self.connect_to(server).await?;
        }
        Ok(())
    }

    /// None if it is not there, and is only looked for.
    async fn declared(&self, queue: &str, passive: bool) -> Result<Option<u64>> {
        let open = self.open().await?;
        let options = QueueDeclareOptions { durable: true, passive, ..Default::default() };
        let declared = open.channel.queue_declare(queue.into(), options, self.arguments());
        let declared = declared.map(|declared: lapin::Result<Queue>| match declared {
            Err(error) if is_missing(&error) => Ok(None),
            declared => declared.map(|queue| Some(u64::from(queue.message_count()))),
        });
        self.answered(declared).await
    }

    fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        if self.kind == Kind::Quorum {
            let servers = i32::try_from(self.servers.len()).unwrap_or(1);
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            arguments.insert("x-quorum-initial-group-size".into(), AMQPValue::LongInt(servers));
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERIES_MAX));
        }
        arguments
    }

    /// Stores a body; a queue that was lost is declared again.
    pub(super) async fn publish(&self, queue: &str, body: &Bytes) -> Result<()> {
        if self.routed(queue, body).await? {
            return Ok(());
        }
        self.declare(queue).await?;
        match self.routed(queue, body).await? {
            true => Ok(()),
            false => Err(self.unavailable("the queue is not there")),
        }
    }

    /// Whether there was a queue to store it in.
    async fn routed(&self, queue: &str, body: &Bytes) -> Result<bool> {
        self.fits(body)?;
        let open = self.publishing().await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let published = async {
            let sent =
                open.channel.basic_publish("".into(), queue.into(), options, body, properties);
            sent.await?.await
        };
        let answer = tokio::select! {
            biased;
            () = open.blocked() => Err(self.unavailable(ALARM)),
            answer = self.answered(published) => answer,
        };
        match answer {
            Ok(Confirmation::Ack(None)) => Ok(true),
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => Ok(false),
            Ok(Confirmation::Nack(None)) => {
                // One that is opened while nobody leads a queue asks who led it before, for ever.
                let _ = self.answered(open.channel.close(200, "refused".into())).await;
                Err(self.unavailable("it could not be stored"))
            }
            Ok(Confirmation::NotRequested) => Err(self.unavailable("it does not confirm")),
            Err(error) => Err(self.refused(error, body)),
        }
    }

    fn fits(&self, body: &Bytes) -> Result<()> {
        let (size, largest) = (body.len(), self.largest.load(Ordering::Relaxed));
        if size <= largest {
            return Ok(());
        }
        let text = format!("a message of {size} bytes with its envelope; it takes {largest}");
        Err(Error::Invalid(format!("{}: {text}", self.shown)))
    }

    /// Who is too large ends the channel for all that is under way on it: what became of the others, nobody
    /// knows.
    fn refused(&self, error: Error, body: &Bytes) -> Error {
        let Some(largest) = largest(&error.to_string()) else { return error };
        self.largest.store(largest, Ordering::Relaxed);
        self.fits(body)
            .err()
            .unwrap_or_else(|| self.unavailable("another message ended the channel"))
    }

    /// What is answered in time. If it is not, both connections are in doubt.
    pub(super) async fn answered<T>(
        &self,
        work: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        match timeout(ANSWER_MAX, work).await {
            Ok(answer) => answer.map_err(|error| self.meaning(&error)),
            Err(_) => {
                self.publishing.forget().await;
                self.consuming.forget().await;
                Err(self.unavailable("no answer within 5 s"))
            }
        }
    }

    /// Work that asks several times.
    pub(super) async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(WORK_MAX, work).await.unwrap_or_else(|_| Err(self.unavailable("no answer")))
    }

    pub(super) fn unavailable(&self, why: impl std::fmt::Display) -> Error {
        Error::Unavailable(format!("{}: {why}", self.shown))
    }

    fn meaning(&self, error: &lapin::Error) -> Error {
        let refused = matches!(error.kind(), ErrorKind::ProtocolError(said) if matches!(
            said.kind(),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED | AMQPSoftError::PRECONDITIONFAILED)
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
        ));
        let lets_in = !matches!(error.kind(), ErrorKind::ProtocolError(said)
            if matches!(said.kind(), AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)));
        match (refused, lets_in) {
            (false, _) => self.unavailable(error),
            (true, true) => Error::Invalid(format!("{}: {error}", self.shown)),
            (true, false) => Error::stranger(&self.shown, error, self.kind.scheme()),
        }
    }
}

fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(said)
        if matches!(said.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)))
}

/// The bytes that a server takes at most, if this is what it says.
fn largest(text: &str) -> Option<usize> {
    let (_, number) = text.split_once(LARGEST)?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

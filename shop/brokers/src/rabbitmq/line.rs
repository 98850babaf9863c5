//! Connections to an AMQP 0-9-1 server: one to publish by, one to consume by, since a server that is short of
//! memory reads no more from who publishes. It knows no consumer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind, Queue,
};
use tokio::time::timeout;

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

pub(super) struct Line {
    /// `USER:PASSWORD@HOST:PORT` each, of which the first that answers is used.
    servers: Vec<String>,
    /// The servers without names and passwords.
    shown: String,
    kind: Kind,
    heartbeat_s: u64,
    publishing: Lazy<Open>,
    consuming: Lazy<Arc<Connection>>,
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
}

impl Line {
    pub(super) fn new(kind: Kind, address: &str, lease: Duration) -> Self {
        let servers: Vec<String> = address.split(',').map(str::to_owned).collect();
        let hosts = servers.iter().map(|server| server.rsplit('@').next().unwrap_or_default());
        let shown = format!("{} at {}", kind.scheme(), hosts.collect::<Vec<_>>().join(","));
        let heartbeat_s = (lease / 2).min(HEARTBEAT_MAX).as_secs().max(1);
        let (publishing, consuming) = Default::default();
        Self { servers, shown, kind, heartbeat_s, publishing, consuming }
    }

    async fn connect(&self) -> Result<Arc<Connection>> {
        let mut why = self.unavailable("no address");
        for server in &self.servers {
            let place = if server.contains('/') { "" } else { "/%2f" };
            let uri = format!("amqp://{server}{place}?heartbeat={}", self.heartbeat_s);
            let connecting = Connection::connect(&uri, ConnectionProperties::default());
            match timeout(CONNECT_MAX, connecting).await {
                Ok(Ok(connection)) => return Ok(Arc::new(connection)),
                Ok(Err(error)) => why = self.meaning(&error),
                Err(_) => why = self.unavailable("no answer within 2 s"),
            }
        }
        Err(why)
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
        let open = self.open().await?;
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declared = open.channel.queue_declare(queue.into(), options, self.arguments());
        let declared: Queue = self.answered(declared).await?;
        Ok(u64::from(declared.message_count()))
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
        let open = self.publishing().await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let published = async {
            let sent =
                open.channel.basic_publish("".into(), queue.into(), options, body, properties);
            sent.await?.await
        };
        match self.answered(published).await {
            Ok(Confirmation::Ack(None)) => Ok(true),
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => Ok(false),
            Ok(Confirmation::Nack(None)) => Err(self.unavailable("it could not be stored")),
            Ok(Confirmation::NotRequested) => Err(self.unavailable("it does not confirm")),
            Err(error) => Err(error),
        }
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
        if refused {
            return Error::Invalid(format!("{}: {error}", self.shown));
        }
        self.unavailable(error)
    }
}

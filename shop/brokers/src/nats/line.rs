//! Requests to NATS and to its JetStream. It knows no queue.

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, HeaderMap, Message, Request, ServerAddr,
};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::time::timeout;

use crate::lazy::Lazy;
use crate::{Error, Result};

/// How long a server may take to let us in.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// After this an answer is not expected any more.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);
/// While nobody leads a stream or consumer nobody answers for it, and who leads next does not know what was asked
/// before: so it is asked again this soon.
const LED_WITHIN: Duration = Duration::from_millis(500);
/// A server that misses two of these is taken to be away.
const PING_EVERY: Duration = Duration::from_secs(1);
/// How soon a lost connection is tried again.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);
/// The first version that fsyncs before it answers and hands out several bodies by one look.
const VERSION: (i64, i64, i64) = (2, 11, 0);
/// What JetStream says of a stream or consumer that is not there.
const NOT_FOUND: u64 = 404;

pub(super) struct Line {
    servers: Vec<ServerAddr>,
    /// The servers without names and passwords.
    shown: String,
    /// Whether it must be new enough to fsync before it answers.
    durable: bool,
    client: Lazy<Client>,
}

/// Why something was not done.
pub(super) enum Refusal {
    /// Nobody answers for this: it is not there, or nobody leads it now.
    Missing,
    /// Anything else.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Line {
    /// To the servers at `HOST:PORT,HOST:PORT…`, which need not be there yet.
    pub(super) fn new(address: &str, durable: bool) -> Result<Self> {
        let invalid = |error| Error::Invalid(format!("nats: {error}"));
        let servers: std::result::Result<Vec<ServerAddr>, _> =
            address.split(',').map(str::parse).collect();
        let servers = servers.map_err(invalid)?;
        let shown = servers.iter().map(|server| format!("{}:{}", server.host(), server.port()));
        let shown = shown.collect::<Vec<_>>().join(",");
        Ok(Self { servers, shown, durable, client: Lazy::default() })
    }

    /// How many servers there are.
    pub(super) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The connection, if it stands; it comes back by itself after a break.
    pub(super) async fn client(&self) -> Result<Client> {
        let client = self.client.get(|_| true, self.connect()).await?;
        match client.connection_state() {
            State::Connected => Ok(client),
            State::Pending | State::Disconnected => Err(self.unavailable("no connection")),
        }
    }

    async fn connect(&self) -> Result<Client> {
        let options = ConnectOptions::new()
            .connection_timeout(CONNECT_MAX)
            .request_timeout(Some(ANSWER_MAX))
            .ping_interval(PING_EVERY)
            .reconnect_delay_callback(|_| RECONNECT_AFTER)
            .ignore_discovered_servers();
        let options = match self.servers.iter().find(|server| server.has_user_pass()) {
            Some(who) => options.user_and_password(word(who.username()), word(who.password())),
            None => options,
        };
        let connecting = timeout(CONNECT_MAX, options.connect(&self.servers[..]));
        let made = connecting.await.map_err(|_| self.unavailable("no answer within 2 s"))?;
        let client = made.map_err(|error| match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                Error::stranger(&format!("nats at {}", self.shown), error, "nats")
            }
            _ => self.unavailable(error),
        })?;
        if self.durable {
            self.new_enough(&client, "else what is answered may be lost")?;
        }
        Ok(client)
    }

    /// That the server is not older than all of this needs; else why that is a pity.
    pub(super) fn new_enough(&self, client: &Client, why: &str) -> Result<()> {
        let (major, minor, patch) = VERSION;
        if client.is_server_compatible(major, minor, patch) {
            return Ok(());
        }
        let (found, least) = (client.server_info().version, format!("{major}.{minor}"));
        let text = format!("nats at {}: version {found}, expected {least} or newer", self.shown);
        Err(Error::Invalid(format!("{text}: {why}")))
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> std::result::Result<Message, Refusal> {
        let request = Request::new().headers(headers).payload(payload);
        let answer = self.client().await?.send_request(subject, request).await;
        answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Refusal::Missing,
            RequestErrorKind::MaxPayloadExceeded => {
                Refusal::Error(Error::Invalid(format!("nats at {}: {error}", self.shown)))
            }
            _ => Refusal::Error(self.unavailable(error)),
        })
    }

    /// Asks JetStream for something that may be asked again, such as `STREAM.CREATE.x`; null is nothing to say.
    pub(super) async fn manage(
        &self,
        what: String,
        body: &Value,
    ) -> std::result::Result<Value, Refusal> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let subject = format!("$JS.API.{what}");
        let asked = async {
            loop {
                let answer = self.ask(subject.clone(), HeaderMap::new(), body.clone());
                if let Ok(answer) = timeout(LED_WITHIN, answer).await {
                    return answer;
                }
            }
        };
        let answer = timeout(ANSWER_MAX, asked).await;
        let answer = answer.unwrap_or_else(|_| Err(self.unavailable("no answer").into()))?;
        self.read(&answer)
    }

    /// An answer of JetStream, if it is no error.
    pub(super) fn read(&self, answer: &Message) -> std::result::Result<Value, Refusal> {
        let read = serde_json::from_slice(&answer.payload);
        let read: Value = read.map_err(|error| {
            Error::Protocol(format!("nats at {}: expected JSON: {error}", self.shown))
        })?;
        let Some(refused) = read.get("error") else { return Ok(read) };
        match refused["code"].as_u64() {
            Some(NOT_FOUND) => Err(Refusal::Missing),
            // What was asked is wrong, not the moment.
            Some(400) => Err(Error::Invalid(format!("nats at {}: {refused}", self.shown)).into()),
            _ => Err(self.unavailable(&refused["description"]).into()),
        }
    }

    pub(super) fn unavailable(&self, why: impl std::fmt::Display) -> Error {
        Error::Unavailable(format!("nats at {}: {why}", self.shown))
    }

    /// What it means to who uses a broker.
    pub(super) fn meaning(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Missing => self.unavailable("nobody answers for the queue"),
            Refusal::Error(error) => error,
        }
    }
}

/// A part of a URL, as it is meant; the client does not read it by itself.
fn word(part: Option<&str>) -> String {
    percent_decode_str(part.unwrap_or_default()).decode_utf8_lossy().into_owned()
}

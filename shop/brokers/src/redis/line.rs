//! A connection to Redis that is made when it is needed, and made again after a break. It knows no queue.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ScriptInvocation, Value, cmd,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{Error, Result};

/// How long a server may take to let us in.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// After this an answer is not expected any more.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Who asks so soon after a refusal hears the same without another try.
const REFUSED_FOR: Duration = Duration::from_millis(100);
/// How a server must be set for returned to mean durable.
const SETTINGS: [(&str, &str); 2] = [("appendonly", "yes"), ("appendfsync", "always")];

pub(crate) struct Line {
    address: String,
    client: Client,
    /// Whether it must be set so that returned means durable.
    durable: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    refused: Option<(Instant, Error)>,
}

/// Why something was not done, as the server or the socket says it.
pub(crate) struct Refusal {
    code: Option<String>,
    error: Error,
}

impl Refusal {
    /// Whether the server said this word.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// What it means to who uses a broker.
    pub(crate) fn meaning(self) -> Error {
        self.error
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { code: None, error }
    }
}

impl Line {
    /// To the server at `HOST:PORT`, which need not be there yet.
    pub(crate) fn new(address: &str, durable: bool) -> Result<Self> {
        let client = Client::open(format!("redis://{address}/"));
        let client = client.map_err(|error| Error::Invalid(format!("redis: {error}")))?;
        let address = address.rsplit('@').next().unwrap_or_default().to_owned();
        Ok(Self { address, client, durable, state: Mutex::default() })
    }

    /// A connection of its own to the same server.
    pub(crate) fn another(&self) -> Self {
        let (address, client) = (self.address.clone(), self.client.clone());
        Self { address, client, durable: self.durable, state: Mutex::default() }
    }

    /// Runs a script.
    pub(crate) async fn run(&self, script: &ScriptInvocation<'_>) -> Result<Value> {
        self.answer(script).await.map_err(Refusal::meaning)
    }

    /// As `run`, for who must know what the server said.
    pub(crate) async fn answer(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> std::result::Result<Value, Refusal> {
        let mut connection = self.connection().await?;
        let answer = script.invoke_async(&mut connection).await;
        self.heard(answer).await
    }

    pub(crate) async fn ask(&self, command: &Cmd) -> std::result::Result<Value, Refusal> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        self.heard(answer).await
    }

    async fn heard(
        &self,
        answer: std::result::Result<Value, RedisError>,
    ) -> std::result::Result<Value, Refusal> {
        let error = match answer {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let code = error.code().map(str::to_owned);
        if code.is_none() {
            // The server said nothing of it: whatever comes over this connection is in doubt.
            self.state.lock().await.connection = None;
        }
        Err(Refusal { code, error: self.meaning(&error) })
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        if let Some((until, why)) = &state.refused
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        let made = self.connect().await;
        match &made {
            Ok(connection) => state.connection = Some(connection.clone()),
            Err(why) => state.refused = Some((Instant::now() + REFUSED_FOR, why.clone())),
        }
        made
    }

    async fn connect(&self) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(ANSWER_MAX));
        let made = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = made.map_err(|error| self.meaning(&error))?;
        for (name, expected) in SETTINGS.into_iter().filter(|_| self.durable) {
            let mut asked = cmd("CONFIG");
            let asked = asked.arg("GET").arg(name).query_async(&mut connection).await;
            let found: Vec<String> = asked.map_err(|error| self.meaning(&error))?;
            let found = found.get(1).map_or("not told", String::as_str);
            if found != expected {
                let address = &self.address;
                let text = format!("redis at {address}: {name} is {found}, expected {expected}");
                return Err(Error::Invalid(format!("{text}: else what is answered may be lost")));
            }
        }
        Ok(connection)
    }

    fn meaning(&self, error: &RedisError) -> Error {
        let place = format!("redis at {}", self.address);
        let text = format!("{place}: {error}");
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "NOPERM" | "WRONGPASS")) => {
                Error::stranger(&place, error, "redis")
            }
            (ErrorKind::Parse, _) => Error::Protocol(text),
            _ => Error::Unavailable(text),
        }
    }
}

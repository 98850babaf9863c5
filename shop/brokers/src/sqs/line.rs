//! Signed requests in JSON to an SQS, each with an end. It knows no queue.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::timeout;

use super::sign::{Identity, Signed};
use crate::clock::now_us;
use crate::{Error, Result};

/// How long a server may take to let us in.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// After this an answer is not expected any more.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
const JSON: &str = "application/x-amz-json-1.0";

pub(super) struct Line {
    address: String,
    identity: Identity,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Why something was not done: what the server calls it, if it said something.
pub(super) struct Refusal {
    kind: String,
    error: Error,
}

impl Refusal {
    /// Whether the server calls it so.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.ends_with(kind)
    }

    /// What it means to who uses a broker.
    pub(super) fn meaning(self) -> Error {
        self.error
    }
}

impl Line {
    /// To the server at `HOST:PORT`, which need not be there yet. Who asks is in AWS's usual environment
    /// variables; a server of a test takes anybody.
    pub(super) fn new(address: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_MAX));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let told =
            |name: &str, otherwise: &str| std::env::var(name).unwrap_or(otherwise.to_owned());
        let identity = Identity {
            key: told("AWS_ACCESS_KEY_ID", "test"),
            secret: told("AWS_SECRET_ACCESS_KEY", "test"),
            token: std::env::var("AWS_SESSION_TOKEN").ok(),
            region: told("AWS_REGION", "us-east-1"),
        };
        Self { address: address.to_owned(), identity, client }
    }

    /// Asks for an operation, which may wait for so long on purpose.
    pub(super) async fn ask(
        &self,
        operation: &str,
        asked: &Value,
        waits: Duration,
    ) -> std::result::Result<Value, Refusal> {
        let request = self.request(operation, asked.to_string().into());
        let answered = timeout(waits + ANSWER_MAX, self.answer(request?)).await;
        let (status, body) = answered.unwrap_or_else(|_| Err(self.away("it does not answer")))?;
        let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        Err(self.refused(operation, status, &answer))
    }

    fn request(&self, operation: &str, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let target = format!("AmazonSQS.{operation}");
        let signed =
            Signed { host: &self.address, target: &target, content_type: JSON, body: &body };
        let (date, proof) = self.identity.sign(&signed, now_us() / 1_000_000);
        let mut request = Request::post(format!("http://{}/", self.address))
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, JSON)
            .header("x-amz-date", date)
            .header("x-amz-target", target)
            .header(header::AUTHORIZATION, proof);
        if let Some(token) = &self.identity.token {
            request = request.header("x-amz-security-token", token);
        }
        let request = request.body(Full::new(body));
        request.map_err(|error| Error::Invalid(format!("sqs at {}: {error}", self.address)))
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        let mut answered = self.client.request(request.clone()).await;
        // A busy server may let a connection wait for too long; nothing has been asked yet.
        if answered.as_ref().is_err_and(hyper_util::client::legacy::Error::is_connect) {
            answered = self.client.request(request).await;
        }
        let answer = answered.map_err(|error| self.away(&whole(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| self.away(&error.to_string()))?;
        Ok((status, body.to_bytes()))
    }

    fn away(&self, why: &str) -> Error {
        Error::Unavailable(format!("sqs at {}: {why}", self.address))
    }

    fn refused(&self, operation: &str, status: StatusCode, answer: &Value) -> Refusal {
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let (kind, text) = (word("__type"), word("message"));
        let said = format!("sqs at {} refuses {operation}: {status} {kind} {text}", self.address);
        let error = match status {
            _ if ["ReceiptHandleIsInvalid", "MessageNotInflight"]
                .iter()
                .any(|k| kind.ends_with(k)) =>
            {
                Error::Fenced
            }
            _ if kind.ends_with("QueueDoesNotExist") => Error::Unavailable(said),
            status if status.is_server_error() => Error::Unavailable(said),
            StatusCode::TOO_MANY_REQUESTS => Error::Unavailable(said),
            _ if ["RequestThrottled", "OverLimit"].iter().any(|k| kind.ends_with(k)) => {
                Error::Unavailable(said)
            }
            _ => Error::Invalid(said),
        };
        Refusal { kind, error }
    }
}

/// An error with what caused it: of its own, a client says no more than that it could not connect.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { kind: String::new(), error }
    }
}

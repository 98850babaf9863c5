//! The network over HTTP: `POST /charges` and `/voids` for shops, `/control` for the experiment; and `POST /callbacks`, where
//! customers are told what became of their orders.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_server::{Guard, Handler, hang_up, json, not_allowed, problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::callbacks::{Callbacks, Untaken};
use crate::charge::{Charge, Decision};
use crate::desk::{Desk, Refusal};

const SIGNATURE: &str = "triptych-signature";
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// What clients reach.
pub(crate) struct Api {
    desk: Arc<Desk>,
    merchants: Guard,
    control: Guard,
    callbacks: Callbacks,
}

/// The answer to a request that went well, or the one that refuses it.
type Answered = Result<Response<Bytes>, Refused>;
type Refused = Box<Response<Bytes>>;

#[derive(Serialize)]
struct Answer<'a> {
    key: &'a str,
    #[serde(flatten)]
    decision: Decision,
}

impl Api {
    pub(crate) fn new(
        desk: Arc<Desk>,
        merchants: Guard,
        control: Guard,
        callbacks: Callbacks,
    ) -> Self {
        Self { desk, merchants, control, callbacks }
    }

    /// Taken only when it is in the journal.
    async fn notified(&self, request: &Request<Bytes>) -> Answered {
        let signature = request.headers().get(SIGNATURE).and_then(|value| value.to_str().ok());
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now_s = i64::try_from(now_s).unwrap_or(i64::MAX);
        let line = self.callbacks.read(signature, request.body(), now_s).map_err(untaken)?;
        self.desk.write(line).await.map_err(|broken| refused(broken.into()))?;
        Ok(json(StatusCode::OK, &serde_json::json!({})))
    }

    fn asked(&self, request: &Request<Bytes>) -> Result<Charge, Refused> {
        self.merchants.no_service(request).map_or(Ok(()), |refused| Err(Box::new(refused)))?;
        let charge: Charge = body(request)?;
        charge.check().map_err(invalid)?;
        Ok(charge)
    }

    async fn charge(&self, request: &Request<Bytes>) -> Answered {
        let charge = self.asked(request)?;
        let key = charge.key.clone();
        let decision = self.desk.charge(charge).await.map_err(refused)?;
        Ok(json(StatusCode::OK, &Answer { key: &key, decision }))
    }

    async fn void(&self, request: &Request<Bytes>) -> Answered {
        let charge = self.asked(request)?;
        let key = charge.key.clone();
        let decision = self.desk.void(charge).await.map_err(refused)?;
        Ok(json(StatusCode::OK, &Answer { key: &key, decision }))
    }

    fn look(&self, request: &Request<Bytes>) -> Answered {
        self.control.refusal(request).map_or(Ok(()), |refused| Err(Box::new(refused)))?;
        Ok(json(StatusCode::OK, &self.desk.settings()))
    }

    fn mark(&self, request: &Request<Bytes>) -> Answered {
        self.control.refusal(request).map_or(Ok(()), |refused| Err(Box::new(refused)))?;
        Ok(json(StatusCode::OK, &self.desk.mark()))
    }

    fn change(&self, request: &Request<Bytes>) -> Answered {
        self.control.refusal(request).map_or(Ok(()), |refused| Err(Box::new(refused)))?;
        let settings = self.desk.change(body(request)?).map_err(|text| invalid(&text))?;
        Ok(json(StatusCode::OK, &settings))
    }
}

#[async_trait]
impl Handler for Api {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let answer = match (request.method(), request.uri().path()) {
            (&Method::POST, "/charges") => self.charge(&request).await,
            (&Method::POST, "/voids") => self.void(&request).await,
            (&Method::POST, "/callbacks") => self.notified(&request).await,
            (&Method::GET, "/control") => self.look(&request),
            (&Method::GET, "/control/journal") => self.mark(&request),
            (&Method::PATCH, "/control") => self.change(&request),
            (_, "/charges" | "/voids" | "/callbacks") => Ok(not_allowed("POST")),
            (_, "/control") => Ok(not_allowed("GET, PATCH")),
            (_, "/control/journal") => Ok(not_allowed("GET")),
            _ => Ok(problem(StatusCode::NOT_FOUND, "no-such-path", "try POST /charges")),
        };
        answer.unwrap_or_else(|refused| *refused)
    }

    fn route(&self, _: &Method, path: &str) -> &'static str {
        match path {
            "/charges" => "/charges",
            "/voids" => "/voids",
            "/callbacks" => "/callbacks",
            "/control" => "/control",
            "/control/journal" => "/control/journal",
            _ => "other",
        }
    }
}

fn body<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, Refused> {
    serde_json::from_slice(request.body()).map_err(|error| {
        // The place, not the text: the text may quote a card.
        let place = format!("line {} column {}", error.line(), error.column());
        if error.is_data() {
            return invalid(&format!("a field is missing, unknown or of another type at {place}"));
        }
        let text = format!("the body is not JSON at {place}");
        Box::new(problem(StatusCode::BAD_REQUEST, "malformed", &text))
    })
}

fn invalid(rule: &str) -> Refused {
    Box::new(problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid", rule))
}

fn untaken(untaken: Untaken) -> Refused {
    Box::new(match untaken {
        Untaken::Off => problem(StatusCode::NOT_FOUND, "no-such-path", "nobody is told here"),
        Untaken::Unsigned => {
            let text = "expected a fresh signature: triptych-signature: t=…,v1=…";
            problem(StatusCode::UNAUTHORIZED, "unauthenticated", text)
        }
        Untaken::Malformed => {
            let text = "expected key, status (paid or declined) and total_cents";
            problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text)
        }
    })
}

fn refused(refusal: Refusal) -> Refused {
    let (status, kind) = match refusal {
        Refusal::AmountDiffers => (StatusCode::CONFLICT, "amount-differs"),
        Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
        Refusal::Limited => (StatusCode::TOO_MANY_REQUESTS, "rate-limited"),
        Refusal::AnswerLost => return Box::new(hang_up()),
        Refusal::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        Refusal::Broken(_) => (StatusCode::INTERNAL_SERVER_ERROR, "journal-broken"),
    };
    let mut refused = problem(status, kind, &refusal.to_string());
    if status == StatusCode::TOO_MANY_REQUESTS {
        refused.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S);
    }
    Box::new(refused)
}

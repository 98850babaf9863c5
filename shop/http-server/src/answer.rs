//! Answers as JSON, errors as RFC 9457 problem documents.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// The content type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// What every problem's `type` begins with; the kind follows.
pub const PROBLEM_TYPE_PREFIX: &str = "urn:triptych:problem:";

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

/// A problem document: `kind` is a short word that programs compare, `detail` a sentence for people.
#[must_use]
pub fn problem(status: StatusCode, kind: &str, detail: &str) -> Response<Bytes> {
    let title = status.canonical_reason().unwrap_or("Error");
    let kind = format!("{PROBLEM_TYPE_PREFIX}{kind}");
    let document = Problem { kind, title, status: status.as_u16(), detail };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    answer(status, PROBLEM_JSON, body)
}

/// The answer to a method that a path does not serve: 405, with those that it serves.
#[must_use]
pub fn not_allowed(allowed: &'static str) -> Response<Bytes> {
    let detail = format!("this path answers {allowed}");
    let mut refused = problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", &detail);
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refused
}

/// A value as JSON; 500 if it cannot be written as JSON.
#[must_use]
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Bytes> {
    match serde_json::to_vec(value) {
        Ok(body) => answer(status, "application/json", body),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string()),
    }
}

/// Instead of an answer: the connection is closed without a byte, as when it is lost on the way.
#[must_use]
pub fn hang_up() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    response.extensions_mut().insert(HangUp);
    response
}

/// Marks what is no answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer is withheld")]
pub(crate) struct HangUp;

pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

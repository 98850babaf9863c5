//! The one place that turns business errors into status codes, and back.

use bytes::Bytes;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_server::{EFFECT_HEADER, PROBLEM_TYPE_PREFIX};
use serde::Deserialize;
use shop::Error;

const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// What a customer, or the calling service, is told of an error.
#[must_use]
pub fn refusal(error: &Error) -> Response<Bytes> {
    let (status, kind, detail) = row(error);
    let mut response = http_server::problem(status, kind, detail);
    let headers = response.headers_mut();
    match error {
        Error::Unauthenticated(_) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Error::Busy(_) => {
            headers.insert(RETRY_AFTER, RETRY_AFTER_S);
            headers.insert(EFFECT_HEADER, HeaderValue::from_static("none"));
        }
        Error::Unavailable(_) => {
            headers.insert(RETRY_AFTER, RETRY_AFTER_S);
        }
        Error::EmailTaken
        | Error::NotFound
        | Error::KeyReused
        | Error::Invalid(_)
        | Error::TimedOut(_)
        | Error::Internal(_) => {}
    }
    response
}

/// What a client is told of a body that is not JSON.
#[must_use]
pub fn malformed(detail: &str) -> Response<Bytes> {
    http_server::problem(StatusCode::BAD_REQUEST, "malformed", detail)
}

/// What a client is told of a path that this process does not serve.
#[must_use]
pub fn nowhere() -> Response<Bytes> {
    http_server::problem(StatusCode::NOT_FOUND, "no-such-path", "nothing is served at this path")
}

/// The error that another service's answer stands for. An answer that is no problem document of
/// ours is judged by its status.
#[must_use]
pub fn error(status: StatusCode, body: &[u8]) -> Error {
    let known = serde_json::from_slice::<Document>(body).ok().and_then(Document::error);
    known.unwrap_or_else(|| {
        let text = format!("it answered {status}");
        match status {
            StatusCode::TOO_MANY_REQUESTS => Error::Busy(text),
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Error::Unavailable(text),
            StatusCode::GATEWAY_TIMEOUT => Error::TimedOut(text),
            _ => Error::Internal(text),
        }
    })
}

fn row(error: &Error) -> (StatusCode, &'static str, &str) {
    match error {
        Error::Unauthenticated(text) => (StatusCode::UNAUTHORIZED, "unauthenticated", text),
        Error::EmailTaken => {
            (StatusCode::CONFLICT, "email-taken", "this e-mail address already has an account")
        }
        Error::KeyReused => {
            (StatusCode::CONFLICT, "key-reused", "this key was used for a different order")
        }
        Error::NotFound => (StatusCode::NOT_FOUND, "not-found", "no such order"),
        Error::Invalid(text) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", text),
        Error::Busy(text) => (StatusCode::SERVICE_UNAVAILABLE, "busy", text),
        Error::Unavailable(text) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", text),
        Error::TimedOut(text) => (StatusCode::GATEWAY_TIMEOUT, "timed-out", text),
        Error::Internal(text) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", text),
    }
}

/// What is read of a problem document.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    detail: String,
}

impl Document {
    fn error(self) -> Option<Error> {
        let text = self.detail;
        Some(match self.kind.strip_prefix(PROBLEM_TYPE_PREFIX)? {
            "unauthenticated" => Error::Unauthenticated(text),
            "email-taken" => Error::EmailTaken,
            "key-reused" => Error::KeyReused,
            "not-found" => Error::NotFound,
            "invalid" => Error::Invalid(text),
            "busy" => Error::Busy(text),
            "unavailable" => Error::Unavailable(text),
            "timed-out" => Error::TimedOut(text),
            "internal" => Error::Internal(text),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: Error, status: u16, headers: &[(&str, &str)]) {
        let told = refusal(&error);
        assert_eq!(told.status().as_u16(), status);
        assert_eq!(told.headers()["content-type"], http_server::PROBLEM_JSON);
        for (name, value) in headers {
            assert_eq!(told.headers()[*name], *value, "{name} of {error:?}");
        }
        assert_eq!(told.headers().len(), 1 + headers.len(), "{error:?}");
        assert_eq!(super::error(told.status(), told.body()), error, "the round trip");
    }

    #[test]
    fn every_error_has_its_status_and_comes_back_as_itself() {
        let text = || "why".to_owned();
        check(Error::Unauthenticated(text()), 401, &[("www-authenticate", "Bearer")]);
        check(Error::EmailTaken, 409, &[]);
        check(Error::KeyReused, 409, &[]);
        check(Error::NotFound, 404, &[]);
        check(Error::Invalid(text()), 422, &[]);
        check(Error::Busy(text()), 503, &[("retry-after", "1"), ("x-effect", "none")]);
        check(Error::Unavailable(text()), 503, &[("retry-after", "1")]);
        check(Error::TimedOut(text()), 504, &[]);
        check(Error::Internal(text()), 500, &[]);
    }

    #[test]
    fn a_strangers_answer_is_judged_by_its_status() {
        let judged =
            |status: u16, body: &str| error(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert!(matches!(judged(503, "<html>"), Error::Unavailable(_)));
        assert!(matches!(judged(502, ""), Error::Unavailable(_)));
        assert!(matches!(judged(504, "{}"), Error::TimedOut(_)));
        assert!(matches!(judged(429, ""), Error::Busy(_)));
        assert!(matches!(judged(500, ""), Error::Internal(_)));
        assert!(matches!(judged(404, r#"{"type":"about:blank"}"#), Error::Internal(_)));
    }
}

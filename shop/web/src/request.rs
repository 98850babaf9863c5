//! What handlers read of a request.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use serde::de::DeserializeOwned;
use shop::Error;

use crate::problem;

/// Why a request goes no further.
pub(crate) enum Refused {
    ByTheShop(Error),
    Malformed(String),
    NotAllowed(&'static str),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::ByTheShop(error)
    }
}

impl Refused {
    pub(crate) fn answer(self) -> Response<Bytes> {
        match self {
            Self::ByTheShop(error) => problem::refusal(&error),
            Self::Malformed(text) => problem::malformed(&text),
            Self::NotAllowed(allowed) => http_server::not_allowed(allowed),
        }
    }
}

/// The bearer token.
pub(crate) fn bearer(request: &Request<Bytes>) -> Result<&str, Refused> {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    Ok(token.ok_or_else(|| Error::Unauthenticated("a bearer token is needed".to_owned()))?)
}

/// A header that is text.
pub(crate) fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// The first value of a query parameter, as it was sent.
pub(crate) fn query<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    let pairs = request.uri().query()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v)
}

/// The body. What is not JSON is 400, JSON of another shape 422.
pub(crate) fn body<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, Refused> {
    serde_json::from_slice(request.body()).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Error::Invalid(shape(&error)).into(),
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => Refused::Malformed(format!("the body: {error}")),
    })
}

pub(crate) fn invalid(text: &str) -> Refused {
    Error::Invalid(text.to_owned()).into()
}

/// What is wrong with the shape, without the value: it may be a card or a password.
fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    match text.split_once(": ") {
        Some((what, _)) if what.starts_with("invalid") => {
            format!("the body has a value of the wrong type at line {line} column {column}")
        }
        _ => format!("the body: {text}"),
    }
}

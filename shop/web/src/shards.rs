//! How orders are spread over databases, for whoever runs the shop.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_server::json;
use shop::Spread;

use crate::request::{Refused, body};

/// `GET /shards`: how they are spread, and how far the last move has come. `POST /shards` begins one:
/// `{"add": {}}` or `{"split": {"of": 2}}`.
pub(crate) async fn look_or_widen(
    spread: &dyn Spread,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let mut status = StatusCode::OK;
    if request.method() == Method::POST {
        spread.widen(body(request)?).await?;
        status = StatusCode::ACCEPTED;
    }
    Ok(json(status, &spread.told().await?))
}

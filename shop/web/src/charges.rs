//! Charges over HTTP, for the orders service.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_server::json;
use shop::{Charged, Payments};

use crate::request::{Refused, body};

pub(crate) async fn charge(
    payments: &dyn Payments,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    match payments.charge(body(request)?).await? {
        Charged::Now(settlement) => Ok(json(StatusCode::OK, &settlement)),
        Charged::Later => Ok(json(StatusCode::ACCEPTED, &serde_json::json!({}))),
    }
}

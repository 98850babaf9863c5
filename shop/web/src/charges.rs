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
    Ok(told(&payments.charge(body(request)?).await?))
}

pub(crate) async fn cancel(
    payments: &dyn Payments,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    Ok(told(&payments.cancel(body(request)?).await?))
}

fn told(charged: &Charged) -> Response<Bytes> {
    match charged {
        Charged::Now(settlement) => json(StatusCode::OK, settlement),
        Charged::Later => json(StatusCode::ACCEPTED, &serde_json::json!({})),
    }
}

//! Accounts over HTTP.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_server::json;
use serde::{Deserialize, Serialize};
use shop::{Auth, UserId, Verify};

use crate::request::{Refused, bearer, body};

/// Whose account or token it is.
#[derive(Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) user_id: UserId,
}

pub(crate) async fn signup(
    auth: &dyn Auth,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let user_id = auth.signup(body(request)?).await?;
    Ok(json(StatusCode::CREATED, &Who { user_id }))
}

pub(crate) async fn login(
    auth: &dyn Auth,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let session = auth.login(body(request)?).await?;
    Ok(json(StatusCode::OK, &session))
}

pub(crate) async fn verify(
    customers: &dyn Verify,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let user_id = customers.verify(bearer(request)?).await?;
    Ok(json(StatusCode::OK, &Who { user_id }))
}

//! Settlements over HTTP, for a service that follows orders; and what it has given up.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_server::json;
use serde_json::json;
use shop::{Follower, GivenUpStore};

use crate::request::{Refused, body, invalid, query};

/// Listed when the client does not say how many, and at most.
const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

pub(crate) async fn tell(
    follower: &dyn Follower,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    follower.tell(&body(request)?).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

/// `GET /dead/notices?after=N&limit=M`, as brokers list dead letters.
pub(crate) async fn dead(
    store: &dyn GivenUpStore,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let number = |name| query(request, name).map(str::parse).transpose();
    let after = number("after").map_err(|_| invalid("after is a number"))?.unwrap_or(0);
    let limit = query(request, "limit").map_or(Ok(PAGE_DEFAULT), str::parse);
    let limit = limit.map_err(|_| invalid("limit is a whole number"))?.min(PAGE_MAX);
    let given_up = store.given_up(after, limit).await?;
    let letters = given_up.into_iter().map(|(id, letter)| {
        json!({"id": id, "key": letter.key, "died_us": letter.at, "errors": [{"text": letter.error}]})
    });
    Ok(json(StatusCode::OK, &json!({"topic": "notices", "dead": letters.collect::<Vec<_>>()})))
}

//! Orders over HTTP.

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::{Request, Response, StatusCode};
use http_server::json;
use serde::{Deserialize, Serialize};
use shop::{Item, Micros, Order, OrderId, OrderStatus, Orders, Page, PlaceOrder, Reason};
use uuid::Uuid;

use crate::request::{Refused, bearer, body, header, invalid, query};

/// Orders on a page when the client does not say.
const PAGE_DEFAULT: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    items: Vec<Item>,
    card: String,
    callback_url: Option<String>,
}

/// What a customer sees of an order: never the card.
#[derive(Serialize)]
struct Shown<'a> {
    id: OrderId,
    key: &'a str,
    status: OrderStatus,
    total_cents: i64,
    items: &'a [Item],
    created_at: Micros,
    settled_at: Option<Micros>,
    charge_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

#[derive(Serialize)]
struct ShownPage<'a> {
    orders: Vec<Shown<'a>>,
    next: Option<OrderId>,
}

impl<'a> Shown<'a> {
    fn of(order: &'a Order) -> Self {
        Self {
            id: order.id,
            key: &order.key,
            status: order.status,
            total_cents: order.total_cents,
            items: &order.items,
            created_at: order.created_at,
            settled_at: order.settled_at,
            charge_id: order.charge_id.as_deref(),
            reason: order.reason,
        }
    }
}

pub(crate) async fn place(
    orders: &dyn Orders,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let token = bearer(request)?;
    let key = header(request, "idempotency-key")
        .ok_or_else(|| invalid("an Idempotency-Key header is needed"))?
        .to_owned();
    let Wanted { items, card, callback_url } = body(request)?;
    let wanted = PlaceOrder { key, items, card, callback_url };
    let order = orders.place(token, wanted).await?;
    let status = match order.status {
        OrderStatus::Pending => StatusCode::ACCEPTED,
        OrderStatus::Paid | OrderStatus::Declined => StatusCode::CREATED,
    };
    let mut response = json(status, &Shown::of(&order));
    if let Ok(location) = HeaderValue::try_from(format!("/orders/{}", order.id.0)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

pub(crate) async fn get(
    orders: &dyn Orders,
    request: &Request<Bytes>,
    id: &str,
) -> Result<Response<Bytes>, Refused> {
    let order = orders.get(bearer(request)?, identity(id)?).await?;
    Ok(json(StatusCode::OK, &Shown::of(&order)))
}

/// What is no id is nobody's.
fn identity(id: &str) -> Result<OrderId, shop::Error> {
    Uuid::try_parse(id).map(OrderId).map_err(|_| shop::Error::NotFound)
}

/// What was decided stands, and is told; 202 if that is not known yet.
pub(crate) async fn cancel(
    orders: &dyn Orders,
    request: &Request<Bytes>,
    id: &str,
) -> Result<Response<Bytes>, Refused> {
    let order = orders.cancel(bearer(request)?, identity(id)?).await?;
    let status = match order.status {
        OrderStatus::Pending => StatusCode::ACCEPTED,
        OrderStatus::Paid | OrderStatus::Declined => StatusCode::OK,
    };
    Ok(json(status, &Shown::of(&order)))
}

pub(crate) async fn list(
    orders: &dyn Orders,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let token = bearer(request)?;
    let after = query(request, "after").map(Uuid::try_parse).transpose();
    let after = after.map_err(|_| invalid("after is the id of an order"))?.map(OrderId);
    let limit = query(request, "limit").map_or(Ok(PAGE_DEFAULT), str::parse);
    let limit = limit.map_err(|_| invalid("limit is a whole number"))?;
    let Page { orders, next } = orders.list(token, after, limit).await?;
    let orders = orders.iter().map(Shown::of).collect();
    Ok(json(StatusCode::OK, &ShownPage { orders, next }))
}

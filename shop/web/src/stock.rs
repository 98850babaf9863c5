//! Stock over HTTP: reservations for the orders service, and what there is for whoever runs the inventory.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_server::json;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shop::{Availability, Item, Shelf, Stock, StockStore};

use crate::request::{Refused, body, invalid, query};

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// What an order needs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) key: String,
    pub(crate) items: Vec<Item>,
}

/// What an order is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) answer: Availability,
}

pub(crate) async fn reserve(
    stock: &dyn Stock,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let Wanted { key, items } = body(request)?;
    let answer = stock.reserve(&key, &items).await?;
    Ok(json(StatusCode::OK, &Told { answer }))
}

/// `GET /stock/reservations?after=N&limit=M`: what each order holds or held.
pub(crate) async fn reservations(
    store: &dyn StockStore,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let after = query(request, "after").map(str::parse).transpose();
    let after = after.map_err(|_| invalid("after is a number"))?.unwrap_or(0);
    let found = store.reservations(after, limit(request)?).await?;
    let rows = found.into_iter().map(|(id, row)| {
        json!({"id": id, "key": row.key, "state": row.state.as_str(), "quantities": row.quantities})
    });
    Ok(json(StatusCode::OK, &json!({"reservations": rows.collect::<Vec<_>>()})))
}

/// `GET /stock/shelves?after=SKU&limit=M`: what became of each article, and how many of it there were at first
/// (`stock`; null: no end).
pub(crate) async fn shelves(
    store: &dyn StockStore,
    stock: Option<u32>,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let after = query(request, "after").unwrap_or_default().replace('+', " ");
    let after = percent_decode_str(&after).decode_utf8();
    let after = after.map_err(|_| invalid("after is an article"))?;
    let found = store.shelves(&after, limit(request)?).await?;
    let rows = found.into_iter().map(|row| {
        let Shelf { sku, held, sold, released } = row;
        json!({"sku": sku, "held": held, "sold": sold, "released": released, "stock": stock})
    });
    Ok(json(StatusCode::OK, &json!({"shelves": rows.collect::<Vec<_>>()})))
}

fn limit(request: &Request<Bytes>) -> Result<u32, Refused> {
    let limit = query(request, "limit").map_or(Ok(PAGE_DEFAULT), str::parse::<u32>);
    Ok(limit.map_err(|_| invalid("limit is a whole number"))?.min(PAGE_MAX))
}

//! Events that are owed to those who follow orders, in the orders' own statements.

use std::collections::HashMap;
use std::ops::Range;

use async_trait::async_trait;
use postgres_pool::{Row, ToSql};
use shop::{
    Ending, Error, Events, Handover, Item, Micros, Number, Order, Owed, Placed, Reason, Result,
    Settled, Settlement,
};

use super::orders::{self, With, columns};
use super::{Postgres, column, meaning};

const SETTLE: &str = concat!(
    "with settled as (update orders set status = $2, charge_id = $3, settled_at = $4, reason = $5, card = null
         where key = $1 and status = 'pending' returning ",
    columns!(),
    "), owed as (insert into events (key) select key from settled)
     select settled.*, true as is_owed, (select url from callbacks where key = $1) as url from settled"
);
const FOUND: &str = concat!(
    "select ",
    columns!(),
    ", exists (select from events where key = $1) as is_owed,
     (select url from callbacks where key = $1) as url from orders where key = $1"
);
const OWED: &str = concat!(
    "select events.number as event, ordered.*, callbacks.url from events, lateral (select ",
    columns!(),
    " from orders where orders.key = events.key) as ordered left join callbacks on callbacks.key = ordered.key
     where events.number >= $1 and events.number < $2 order by events.number limit $3"
);
const NEWEST: &str = "select coalesce(max(number), 0) as newest from events";
const ITEMS: &str = "select key, items from orders where key = any($1)";
const TOLD: &str =
    "with told as (delete from events where key = $1) delete from callbacks where key = $1";

#[async_trait]
impl Events for Postgres {
    async fn insert(
        &self,
        order: Order,
        handover: Handover,
        callback_url: Option<String>,
    ) -> Result<Placed> {
        let with = callback_url.map_or(With::Nothing, With::CallbackUrl);
        self.place(order, handover, with).await
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<(Order, Option<Settled>)> {
        let Settlement { key, verdict, .. } = &settlement;
        let Ending { status, charge_id, reason } = Ending::from(verdict);
        let row: [&(dyn ToSql + Sync); 5] =
            [key, &status.as_str(), &charge_id, &at, &reason.map(Reason::as_str)];
        let mut rows = self.pool.ask(SETTLE, &row).await;
        if rows.as_ref().is_ok_and(Vec::is_empty) {
            // It is final already; a statement of its own sees what another has just settled.
            rows = self.pool.ask(FOUND, &[key]).await;
        }
        crash_point::reach(crash_point::ORDER_SETTLED);
        let rows = rows.map_err(meaning)?;
        let row = rows.first().ok_or(Error::NotFound)?;
        let order = orders::order(row)?;
        let event = if column(row, "is_owed")? { event(row)? } else { None };
        Ok((order, event))
    }

    /// The newest first: what becomes owed meanwhile is newer.
    async fn owed(&self, numbers: Range<Number>, limit: u32) -> Result<Owed> {
        let newest = self.pool.ask(NEWEST, &[]).await.map_err(meaning)?;
        let newest = newest.first().map_or(Ok(0), |row| column(row, "newest"))?;
        let limit = i64::from(limit);
        let rows = self.pool.ask(OWED, &[&numbers.start, &numbers.end, &limit]).await;
        let mut events = Vec::new();
        for row in rows.map_err(meaning)? {
            events.extend(event(&row)?.map(|event| Ok((column(&row, "event")?, event))));
        }
        Ok(Owed { events: events.into_iter().collect::<Result<_>>()?, newest })
    }

    async fn items(&self, keys: Vec<String>) -> Result<Vec<Vec<Item>>> {
        let rows = self.pool.ask(ITEMS, &[&keys]).await.map_err(meaning)?;
        let of = |row| Ok((column(row, "key")?, orders::items(row)?));
        let mut found = rows.iter().map(of).collect::<Result<HashMap<String, _>>>()?;
        Ok(keys.iter().map(|key| found.remove(key).unwrap_or_default()).collect())
    }

    async fn told(&self, key: &str) -> Result<()> {
        self.pool.ask(TOLD, &[&key]).await.map(drop).map_err(meaning)
    }
}

/// Of an order's row that has its URL beside it.
fn event(row: &Row) -> Result<Option<Settled>> {
    Ok(Settled::of(&orders::order(row)?, column(row, "url")?))
}

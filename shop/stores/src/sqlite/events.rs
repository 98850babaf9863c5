//! Events that are owed to those who follow orders, in the orders' own transactions.

use std::ops::Range;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use shop::{
    Events, Handover, Item, Micros, Number, Order, Owed, Placed, Result, Settled, Settlement,
};

use super::orders::Stored;
use super::{Sqlite, each, meaning, orders};

const CALLBACK: &str = "insert into callbacks (key, url) values (?1, ?2)";
const OWE: &str = "insert into events (key) values (?1)";
const OWED: &str =
    "select e.number, e.key, c.url from events e left join callbacks c on c.key = e.key
    where e.number >= ?1 and e.number < ?2 order by e.number limit ?3";
const NEWEST: &str = "select coalesce(max(number), 0) from events";
const IS_OWED: &str = "select c.url from events e left join callbacks c on c.key = e.key
    where e.key = ?1";
const TOLD: &str = "delete from events where key = ?1";
const FORGET: &str = "delete from callbacks where key = ?1";

#[async_trait]
impl Events for Sqlite {
    async fn insert(
        &self,
        order: Order,
        handover: Handover,
        callback_url: Option<String>,
    ) -> Result<Placed> {
        self.place(order, handover, None, move |c, order| {
            if let Some(url) = &callback_url {
                c.prepare_cached(CALLBACK)?.execute(params![order.key, url])?;
            }
            Ok(())
        })
        .await
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<(Order, Option<Settled>)> {
        let job = move |c: &Connection| settle(c, &settlement, at);
        let settled = self.db.write(job).await.map_err(meaning)?;
        crash_point::reach(crash_point::ORDER_SETTLED);
        event(settled)
    }

    async fn settle_all(
        &self,
        settlements: Vec<Settlement>,
        at: Micros,
    ) -> Vec<Result<(Order, Option<Settled>)>> {
        let count = settlements.len();
        let job = move |c: &Connection| {
            let settled = settlements.iter().map(|one| settle(c, one, at));
            settled.collect::<rusqlite::Result<Vec<_>>>()
        };
        let settled = each(count, self.db.write(job).await);
        crash_point::reach(crash_point::ORDER_SETTLED);
        settled.map(|settled| event(settled?)).collect()
    }

    async fn owed(&self, numbers: Range<Number>, limit: u32) -> Result<Owed> {
        let job = move |c: &Connection| {
            let newest = c.prepare_cached(NEWEST)?.query_row([], |row| row.get(0))?;
            let mut owed = c.prepare_cached(OWED)?;
            let rows = owed.query_map(params![numbers.start, numbers.end, limit], |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
            })?;
            let mut found = Vec::new();
            for row in rows {
                let (number, key, url): (Number, _, Option<String>) = row?;
                found.push((number, orders::of_key(c, &key)?, url));
            }
            Ok((found, newest))
        };
        let (found, newest) = self.db.read(job).await.map_err(meaning)?;
        let events = found.into_iter().filter_map(|(number, stored, url): (_, Stored, _)| {
            let event = stored.order().map(|order| Settled::of(&order, url));
            event.map(|event| event.map(|event| (number, event))).transpose()
        });
        Ok(Owed { events: events.collect::<Result<_>>()?, newest })
    }

    async fn items(&self, keys: Vec<String>) -> Result<Vec<Vec<Item>>> {
        let job = move |c: &Connection| {
            let found = keys.iter().map(|key| orders::of_key(c, key).optional());
            found.collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = self.db.read(job).await.map_err(meaning)?;
        let items = |stored: Option<Stored>| match stored {
            Some(stored) => Ok(stored.order()?.items),
            None => Ok(Vec::new()),
        };
        found.into_iter().map(items).collect()
    }

    async fn told(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        let job = move |c: &Connection| {
            c.prepare_cached(TOLD)?.execute([&key])?;
            c.prepare_cached(FORGET)?.execute([&key]).map(drop)
        };
        self.db.write(job).await.map_err(meaning)
    }
}

/// An order, and where its customer wants to be told if its event is owed.
type Owing = (Option<Stored>, Option<Option<String>>);

fn settle(c: &Connection, settlement: &Settlement, at: Micros) -> rusqlite::Result<Owing> {
    let (stored, is_new) = orders::settle(c, settlement, at)?;
    if is_new {
        c.prepare_cached(OWE)?.execute([&settlement.key])?;
    }
    let mut is_owed = c.prepare_cached(IS_OWED)?;
    let owed = is_owed.query_row([&settlement.key], |row| row.get(0)).optional()?;
    Ok((stored, owed))
}

fn event((stored, owed): Owing) -> Result<(Order, Option<Settled>)> {
    let order = stored.ok_or(shop::Error::NotFound)?.order()?;
    let event = owed.and_then(|url| Settled::of(&order, url));
    Ok((order, event))
}

#[cfg(test)]
pub(super) const STATEMENTS: [(&str, &str); 4] = [
    (
        OWED,
        "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?); SEARCH c USING PRIMARY KEY (key=?) LEFT-JOIN",
    ),
    (
        IS_OWED,
        "SEARCH e USING COVERING INDEX sqlite_autoindex_events_1 (key=?); SEARCH c USING PRIMARY KEY (key=?) LEFT-JOIN",
    ),
    (TOLD, "SEARCH events USING INDEX sqlite_autoindex_events_1 (key=?)"),
    (FORGET, "SEARCH callbacks USING PRIMARY KEY (key=?)"),
];

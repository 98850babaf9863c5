//! Stock: a row per article, a row per reservation.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use shop::{Error, Number, Reservation, Reserved, Result, Shelf, StockStore};

use super::{Sqlite, meaning, strange};

const RESERVE: &str = "insert into reservations (key, quantities, state) values (?1, ?2, 'held')
    on conflict (key) do nothing";
const HOLD: &str = "insert into stock (sku, held, sold, released) values (?1, ?2, 0, 0)
    on conflict (sku) do update set held = held + excluded.held";
const FIND: &str = "select quantities, state from reservations where key = ?1";
const CLOSE: &str = "update reservations set state = ?2 where key = ?1";
const SELL: &str = "update stock set held = held - ?2, sold = sold + ?2 where sku = ?1";
const RELEASE: &str = "update stock set held = held - ?2, released = released + ?2 where sku = ?1";
const SHELVES: &str =
    "select sku, held, sold, released from stock where sku > ?1 order by sku limit ?2";
const RESERVATIONS: &str =
    "select number, key, quantities, state from reservations where number > ?1
    order by number limit ?2";

type Quantities = BTreeMap<String, u32>;

#[async_trait]
impl StockStore for Sqlite {
    async fn reserve(&self, key: &str, quantities: Quantities) -> Result<()> {
        let (key, text) = (key.to_owned(), written(&quantities)?);
        let job = move |c: &Connection| {
            if c.prepare_cached(RESERVE)?.execute(params![key, text])? > 0 {
                let mut hold = c.prepare_cached(HOLD)?;
                for (sku, quantity) in &quantities {
                    hold.execute(params![sku, quantity])?;
                }
            }
            Ok(())
        };
        self.db.write(job).await.map_err(meaning)
    }

    async fn close(&self, key: &str, end: Reserved) -> Result<Reserved> {
        let key = key.to_owned();
        let job = move |c: &Connection| {
            let found = c.prepare_cached(FIND)?.query_row([&key], |row| {
                Ok((row.get::<_, String>(0)?, state(row.get_ref(1)?.as_str()?)?))
            });
            let Some((quantities, state)) = found.optional()? else { return Ok(None) };
            if state != Reserved::Held || end == Reserved::Held {
                return Ok(Some(state));
            }
            c.prepare_cached(CLOSE)?.execute(params![key, end.as_str()])?;
            let mut moved = c.prepare_cached(if end == Reserved::Sold { SELL } else { RELEASE })?;
            for (sku, quantity) in read(&quantities)? {
                moved.execute(params![sku, quantity])?;
            }
            Ok(Some(end))
        };
        self.db.write(job).await.map_err(meaning)?.ok_or(Error::NotFound)
    }

    async fn shelves(&self, after: &str, limit: u32) -> Result<Vec<Shelf>> {
        let after = after.to_owned();
        let job = move |c: &Connection| {
            let mut shelves = c.prepare_cached(SHELVES)?;
            let rows = shelves.query_map(params![after, limit], |row| {
                let (held, sold, released) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(Shelf { sku: row.get(0)?, held, sold, released })
            })?;
            rows.collect()
        };
        self.db.read(job).await.map_err(meaning)
    }

    async fn reservations(&self, after: Number, limit: u32) -> Result<Vec<(Number, Reservation)>> {
        let job = move |c: &Connection| {
            let mut reservations = c.prepare_cached(RESERVATIONS)?;
            let rows = reservations.query_map(params![after, limit], |row| {
                let quantities = read(row.get_ref(2)?.as_str()?)?;
                let state = state(row.get_ref(3)?.as_str()?)?;
                Ok((row.get(0)?, Reservation { key: row.get(1)?, quantities, state }))
            })?;
            rows.collect()
        };
        self.db.read(job).await.map_err(meaning)
    }
}

fn written(quantities: &Quantities) -> Result<String> {
    serde_json::to_string(quantities).map_err(|e| Error::Internal(format!("quantities: {e}")))
}

fn read(text: &str) -> rusqlite::Result<Quantities> {
    serde_json::from_str(text).map_err(|_| strange(2, text))
}

fn state(word: &str) -> rusqlite::Result<Reserved> {
    let all = [Reserved::Held, Reserved::Sold, Reserved::Released];
    all.into_iter().find(|state| state.as_str() == word).ok_or_else(|| strange(3, word))
}

#[cfg(test)]
pub(super) const STATEMENTS: [(&str, &str); 5] = [
    (FIND, "SEARCH reservations USING INDEX sqlite_autoindex_reservations_1 (key=?)"),
    (CLOSE, "SEARCH reservations USING INDEX sqlite_autoindex_reservations_1 (key=?)"),
    (SELL, "SEARCH stock USING PRIMARY KEY (sku=?)"),
    (SHELVES, "SEARCH stock USING PRIMARY KEY (sku>?)"),
    (RESERVATIONS, "SEARCH reservations USING INTEGER PRIMARY KEY (rowid>?)"),
];

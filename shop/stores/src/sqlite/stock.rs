//! Stock: a row per article, a row per reservation.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use shop::{Error, Number, Quantities, Reservation, Reserved, Result, Shelf, StockStore};

use super::{Sqlite, each, meaning, strange};

const RESERVE: &str = "insert into reservations (key, quantities, state) values (?1, ?2, ?3)
    on conflict (key) do nothing";
const HOLD: &str = "insert into stock (sku, held, sold, released) values (?1, ?2, 0, 0)
    on conflict (sku) do update set held = held + excluded.held";
const GONE: &str = "select held + sold from stock where sku = ?1";
const FIND: &str = "select quantities, state from reservations where key = ?1";
const CLOSE: &str = "update reservations set state = ?2 where key = ?1";
const SELL: &str = "update stock set held = held - ?2, sold = sold + ?2 where sku = ?1";
const RELEASE: &str = "update stock set held = held - ?2, released = released + ?2 where sku = ?1";
const SHELVES: &str =
    "select sku, held, sold, released from stock where sku > ?1 order by sku limit ?2";
const RESERVATIONS: &str =
    "select number, key, quantities, state from reservations where number > ?1
    order by number limit ?2";

#[async_trait]
impl StockStore for Sqlite {
    async fn reserve(
        &self,
        key: &str,
        quantities: Quantities,
        stock: Option<u32>,
    ) -> Result<Reserved> {
        let needs = Needs::new(key.to_owned(), quantities)?;
        self.db.write(move |c| reserve(c, &needs, stock)).await.map_err(meaning)
    }

    async fn reserve_all(
        &self,
        all: Vec<(String, Quantities)>,
        stock: Option<u32>,
    ) -> Vec<Result<Reserved>> {
        let count = all.len();
        let all = all.into_iter().map(|(key, quantities)| Needs::new(key, quantities));
        let all = match all.collect::<Result<Vec<_>>>() {
            Ok(all) => all,
            Err(error) => return vec![Err(error); count],
        };
        let job = move |c: &Connection| all.iter().map(|one| reserve(c, one, stock)).collect();
        each(count, self.db.write(job).await).collect()
    }

    async fn close(&self, key: &str, end: Reserved) -> Result<Reserved> {
        let key = key.to_owned();
        let closed = self.db.write(move |c| close(c, &key, end)).await;
        closed.map_err(meaning)?.ok_or(Error::NotFound)
    }

    async fn close_all(&self, all: Vec<(String, Reserved)>) -> Vec<Result<Reserved>> {
        let count = all.len();
        let job = move |c: &Connection| all.iter().map(|(key, end)| close(c, key, *end)).collect();
        let closed = each(count, self.db.write(job).await);
        closed.map(|closed| closed?.ok_or(Error::NotFound)).collect()
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

/// What an order needs, and the same as text.
struct Needs {
    key: String,
    quantities: Quantities,
    text: String,
}

impl Needs {
    fn new(key: String, quantities: Quantities) -> Result<Self> {
        let text = written(&quantities)?;
        Ok(Self { key, quantities, text })
    }
}

fn reserve(c: &Connection, needs: &Needs, stock: Option<u32>) -> rusqlite::Result<Reserved> {
    let lacks = stock.map_or(Ok(false), |stock| lacks(c, &needs.quantities, stock))?;
    let new = if lacks { Reserved::Lacking } else { Reserved::Held };
    let row = params![needs.key, needs.text, new.as_str()];
    if c.prepare_cached(RESERVE)?.execute(row)? == 0 {
        return Ok(found(c, &needs.key)?.1);
    }
    if new == Reserved::Held {
        let mut hold = c.prepare_cached(HOLD)?;
        for (sku, quantity) in &needs.quantities {
            hold.execute(params![sku, quantity])?;
        }
    }
    Ok(new)
}

/// Whether there is less of one of these than is asked for.
fn lacks(c: &Connection, quantities: &Quantities, stock: u32) -> rusqlite::Result<bool> {
    let mut gone = c.prepare_cached(GONE)?;
    for (sku, quantity) in quantities {
        let gone: i64 = gone.query_row([sku], |row| row.get(0)).optional()?.unwrap_or(0);
        if gone + i64::from(*quantity) > i64::from(stock) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The state that it then has; none if there is no such.
fn close(c: &Connection, key: &str, end: Reserved) -> rusqlite::Result<Option<Reserved>> {
    let Some((quantities, state)) = found(c, key).optional()? else { return Ok(None) };
    if state != Reserved::Held || end == Reserved::Held {
        return Ok(Some(state));
    }
    c.prepare_cached(CLOSE)?.execute(params![key, end.as_str()])?;
    let mut moved = c.prepare_cached(if end == Reserved::Sold { SELL } else { RELEASE })?;
    for (sku, quantity) in read(&quantities)? {
        moved.execute(params![sku, quantity])?;
    }
    Ok(Some(end))
}

/// The quantities of this key's reservation, as text, and its state.
fn found(c: &Connection, key: &str) -> rusqlite::Result<(String, Reserved)> {
    c.prepare_cached(FIND)?
        .query_row([key], |row| Ok((row.get(0)?, state(row.get_ref(1)?.as_str()?)?)))
}

fn written(quantities: &Quantities) -> Result<String> {
    serde_json::to_string(quantities).map_err(|e| Error::Internal(format!("quantities: {e}")))
}

fn read(text: &str) -> rusqlite::Result<Quantities> {
    serde_json::from_str(text).map_err(|_| strange(2, text))
}

fn state(word: &str) -> rusqlite::Result<Reserved> {
    Reserved::of(word).ok_or_else(|| strange(3, word))
}

#[cfg(test)]
pub(super) const STATEMENTS: [(&str, &str); 6] = [
    (GONE, "SEARCH stock USING PRIMARY KEY (sku=?)"),
    (FIND, "SEARCH reservations USING INDEX sqlite_autoindex_reservations_1 (key=?)"),
    (CLOSE, "SEARCH reservations USING INDEX sqlite_autoindex_reservations_1 (key=?)"),
    (SELL, "SEARCH stock USING PRIMARY KEY (sku=?)"),
    (SHELVES, "SEARCH stock USING PRIMARY KEY (sku>?)"),
    (RESERVATIONS, "SEARCH reservations USING INTEGER PRIMARY KEY (rowid>?)"),
];

//! Stock: a row per article, a row per reservation. Whoever changes several articles comes to them in one sequence,
//! so that nobody waits for who waits for him.

use std::collections::BTreeMap;

use async_trait::async_trait;
use postgres_pool::Row;
use shop::{Error, Number, Reservation, Reserved, Result, Shelf, StockStore};

use super::{Postgres, column, meaning};

const RESERVE: &str = "with added as (insert into reservations (key, quantities, state)
        values ($1, $2, 'held') on conflict (key) do nothing returning key)
    insert into stock (sku, held, sold, released)
    select sku, quantity, 0, 0 from added, unnest($3::text[], $4::bigint[]) as wanted (sku, quantity)
    order by sku collate \"C\"
    on conflict (sku) do update set held = stock.held + excluded.held";
/// Each of these articles is there, since it was reserved.
const CLOSE: &str = "with closed as (update reservations set state = $2
        where key = $1 and state = 'held' returning quantities),
    moved as (insert into stock (sku, held, sold, released)
        select had.key, 0, case $2 when 'sold' then had.value::bigint else 0 end,
            case $2 when 'sold' then 0 else had.value::bigint end
        from closed, json_each_text(quantities::json) as had order by had.key collate \"C\"
        on conflict (sku) do update set held = stock.held - excluded.sold - excluded.released,
            sold = stock.sold + excluded.sold, released = stock.released + excluded.released)
    select from closed";
const STATE: &str = "select state from reservations where key = $1";
const SHELVES: &str =
    "select sku, held, sold, released from stock where sku > $1 order by sku limit $2";
const RESERVATIONS: &str = "select number, key, quantities, state from reservations
    where number > $1 order by number limit $2";

#[async_trait]
impl StockStore for Postgres {
    async fn reserve(&self, key: &str, quantities: BTreeMap<String, u32>) -> Result<()> {
        let text = serde_json::to_string(&quantities)
            .map_err(|e| Error::Internal(format!("the quantities of {key}: {e}")))?;
        let skus: Vec<&str> = quantities.keys().map(String::as_str).collect();
        let counts: Vec<i64> = quantities.values().copied().map(i64::from).collect();
        let reserved = self.pool.ask(RESERVE, &[&key, &text, &skus, &counts]).await;
        reserved.map(drop).map_err(meaning)
    }

    async fn close(&self, key: &str, end: Reserved) -> Result<Reserved> {
        if end != Reserved::Held {
            let closed = self.pool.ask(CLOSE, &[&key, &end.as_str()]).await.map_err(meaning)?;
            if !closed.is_empty() {
                return Ok(end);
            }
        }
        let found = self.pool.ask(STATE, &[&key]).await.map_err(meaning)?;
        found.first().map(state).ok_or(Error::NotFound)?
    }

    async fn shelves(&self, after: &str, limit: u32) -> Result<Vec<Shelf>> {
        let rows = self.pool.ask(SHELVES, &[&after, &i64::from(limit)]).await.map_err(meaning)?;
        rows.iter().map(shelf).collect()
    }

    async fn reservations(&self, after: Number, limit: u32) -> Result<Vec<(Number, Reservation)>> {
        let asked = self.pool.ask(RESERVATIONS, &[&after, &i64::from(limit)]).await;
        asked.map_err(meaning)?.iter().map(reservation).collect()
    }
}

fn shelf(row: &Row) -> Result<Shelf> {
    Ok(Shelf {
        sku: column(row, "sku")?,
        held: column(row, "held")?,
        sold: column(row, "sold")?,
        released: column(row, "released")?,
    })
}

fn reservation(row: &Row) -> Result<(Number, Reservation)> {
    let key: String = column(row, "key")?;
    let quantities = serde_json::from_str(column(row, "quantities")?)
        .map_err(|e| Error::Internal(format!("the quantities of {key}: {e}")))?;
    Ok((column(row, "number")?, Reservation { key, quantities, state: state(row)? }))
}

fn state(row: &Row) -> Result<Reserved> {
    let word: &str = column(row, "state")?;
    let all = [Reserved::Held, Reserved::Sold, Reserved::Released];
    let state = all.into_iter().find(|state| state.as_str() == word);
    state.ok_or_else(|| Error::Internal(format!("a reservation that is {word:?}")))
}

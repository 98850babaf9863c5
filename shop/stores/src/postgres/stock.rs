//! Stock: a row per article, a row per reservation. Whoever changes several articles comes to them in one sequence,
//! so that nobody waits for who waits for him.

use async_trait::async_trait;
use postgres_pool::Row;
use shop::{Error, Number, Quantities, Reservation, Reserved, Result, Shelf, StockStore};

use super::{Postgres, column, meaning};

const RESERVE: &str = "with added as (insert into reservations (key, quantities, state)
        values ($1, $2, 'held') on conflict (key) do nothing returning key),
    held as (insert into stock (sku, held, sold, released)
        select sku, quantity, 0, 0 from added, unnest($3::text[], $4::bigint[]) as wanted (sku, quantity)
        order by sku collate \"C\"
        on conflict (sku) do update set held = stock.held + excluded.held)
    select 'held' as state from added";
/// So that each shelf is there, and can be waited for.
const SET_UP: &str = "insert into stock (sku, held, sold, released)
    select sku, 0, 0, 0 from unnest($1::text[]) as wanted (sku) order by sku collate \"C\"
    on conflict (sku) do nothing";
/// While one looks whether there is enough, nobody else takes of it.
const RESERVE_OF: &str = "with wanted as (select * from unnest($3::text[], $4::bigint[]) as one (article, quantity)),
    shelf as (select sku, held + sold as gone from stock where sku = any($3) order by sku for update),
    added as (insert into reservations (key, quantities, state)
        select $1, $2, case when bool_and(gone + quantity <= $5::bigint) then 'held' else 'lacking' end
        from wanted join shelf on sku = article on conflict (key) do nothing returning state),
    held as (update stock set held = held + quantity from wanted, added
        where sku = article and state = 'held')
    select state from added";
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
    async fn reserve(
        &self,
        key: &str,
        quantities: Quantities,
        stock: Option<u32>,
    ) -> Result<Reserved> {
        let text = serde_json::to_string(&quantities)
            .map_err(|e| Error::Internal(format!("the quantities of {key}: {e}")))?;
        let skus: Vec<&str> = quantities.keys().map(String::as_str).collect();
        let counts: Vec<i64> = quantities.values().copied().map(i64::from).collect();
        let reserved = match stock.map(i64::from) {
            None => self.pool.ask(RESERVE, &[&key, &text, &skus, &counts]).await,
            Some(stock) => {
                self.pool.ask(SET_UP, &[&skus]).await.map_err(meaning)?;
                self.pool.ask(RESERVE_OF, &[&key, &text, &skus, &counts, &stock]).await
            }
        };
        match reserved.map_err(meaning)?.first() {
            Some(new) => state(new),
            None => self.state(key).await,
        }
    }

    async fn close(&self, key: &str, end: Reserved) -> Result<Reserved> {
        if end != Reserved::Held {
            let closed = self.pool.ask(CLOSE, &[&key, &end.as_str()]).await.map_err(meaning)?;
            if !closed.is_empty() {
                return Ok(end);
            }
        }
        self.state(key).await
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

impl Postgres {
    /// The state of this key's reservation. Errors: `NotFound`.
    async fn state(&self, key: &str) -> Result<Reserved> {
        let found = self.pool.ask(STATE, &[&key]).await.map_err(meaning)?;
        found.first().map(state).ok_or(Error::NotFound)?
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
    Reserved::of(word).ok_or_else(|| Error::Internal(format!("a reservation that is {word:?}")))
}

//! Notifications that nobody will take.

use async_trait::async_trait;
use postgres_pool::Row;
use shop::{GivenUp, GivenUpStore, Number, Result};

use super::{Postgres, column, meaning};

const GIVE_UP: &str = "insert into given_up (key, error, at) values ($1, $2, $3)
    on conflict (key) do nothing";
const GIVEN_UP: &str = "select number, key, error, at from given_up where number > $1
    order by number limit $2";

#[async_trait]
impl GivenUpStore for Postgres {
    async fn give_up(&self, given_up: GivenUp) -> Result<()> {
        let GivenUp { key, error, at } = &given_up;
        self.pool.ask(GIVE_UP, &[key, error, at]).await.map(drop).map_err(meaning)
    }

    async fn given_up(&self, after: Number, limit: u32) -> Result<Vec<(Number, GivenUp)>> {
        let rows = self.pool.ask(GIVEN_UP, &[&after, &i64::from(limit)]).await.map_err(meaning)?;
        rows.iter().map(given_up).collect()
    }
}

fn given_up(row: &Row) -> Result<(Number, GivenUp)> {
    let (key, error, at) = (column(row, "key")?, column(row, "error")?, column(row, "at")?);
    Ok((column(row, "number")?, GivenUp { key, error, at }))
}

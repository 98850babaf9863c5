//! Notifications that nobody will take.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use shop::{GivenUp, GivenUpStore, Number, Result};

use super::{Sqlite, meaning};

const GIVE_UP: &str = "insert into given_up (key, error, at) values (?1, ?2, ?3)
    on conflict (key) do nothing";
const GIVEN_UP: &str = "select number, key, error, at from given_up where number > ?1
    order by number limit ?2";

#[async_trait]
impl GivenUpStore for Sqlite {
    async fn give_up(&self, given_up: GivenUp) -> Result<()> {
        let job = move |c: &Connection| {
            let row = params![given_up.key, given_up.error, given_up.at];
            c.prepare_cached(GIVE_UP)?.execute(row).map(drop)
        };
        self.db.write(job).await.map_err(meaning)
    }

    async fn given_up(&self, after: Number, limit: u32) -> Result<Vec<(Number, GivenUp)>> {
        let job = move |c: &Connection| {
            let mut given_up = c.prepare_cached(GIVEN_UP)?;
            let rows = given_up.query_map(params![after, limit], |row| {
                let (key, error, at) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, GivenUp { key, error, at }))
            })?;
            rows.collect()
        };
        self.db.read(job).await.map_err(meaning)
    }
}

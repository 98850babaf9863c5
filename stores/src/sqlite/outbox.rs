//! Charges to be handed over.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use shop::{Charge, Outbox, Result};

use super::{Sqlite, meaning};

const INSERT: &str = "insert into outbox (key, amount_cents, card) values (?1, ?2, ?3)";
const UNSENT: &str = "select number, key, amount_cents, card from outbox order by number limit ?1";
const SENT: &str = "delete from outbox where number = ?1";
const DEPTH: &str = "select count(*) from outbox";

/// Adds a charge, in the transaction of its order.
pub(super) fn insert(c: &Connection, charge: &Charge) -> rusqlite::Result<()> {
    let row = params![charge.key, charge.amount_cents, charge.card];
    c.prepare_cached(INSERT)?.execute(row)?;
    Ok(())
}

#[async_trait]
impl Outbox for Sqlite {
    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Charge)>> {
        let job = move |c: &Connection| {
            let mut unsent = c.prepare_cached(UNSENT)?;
            let rows = unsent.query_map([limit], |row| {
                let (key, amount_cents, card) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, Charge { key, amount_cents, card }))
            })?;
            rows.collect()
        };
        self.db.read(job).await.map_err(meaning)
    }

    async fn sent(&self, rows: Vec<i64>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let job = move |c: &Connection| {
            let mut sent = c.prepare_cached(SENT)?;
            rows.iter().try_for_each(|row| sent.execute([row]).map(|_| ()))
        };
        self.db.write(job).await.map_err(meaning)
    }

    async fn depth(&self) -> Result<u64> {
        let count = |c: &Connection| c.prepare_cached(DEPTH)?.query_row([], |row| row.get(0));
        self.db.read(count).await.map(i64::cast_unsigned).map_err(meaning)
    }
}

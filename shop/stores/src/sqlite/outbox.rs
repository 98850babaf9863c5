//! Charges to be handed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use shop::{Backlog, Charge, Outbox, Result};

use super::{Sqlite, meaning};

const INSERT: &str = "insert into outbox (key, amount_cents, card) values (?1, ?2, ?3)";
const UNSENT: &str = "select number, key, amount_cents, card from outbox where number > ?1
    order by number limit ?2";
const SENT: &str = "delete from outbox where number = ?1";
const COUNT: &str = "select count(*) from outbox";
const OLDEST: &str = "select created_at from orders
    where key = (select key from outbox order by number limit 1)";

/// How many rows there are, kept beside the table: counting them for each order would cost more than the
/// order. It changes when a commit is durable, so orders of one commit do not see each other.
#[derive(Clone, Debug)]
pub(super) struct Rows(Arc<AtomicI64>);

impl Rows {
    pub(super) fn counted(c: &Connection) -> rusqlite::Result<Self> {
        let count = c.query_row(COUNT, [], |row| row.get(0))?;
        Ok(Self(Arc::new(AtomicI64::new(count))))
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed).try_into().unwrap_or(0)
    }

    pub(super) fn add(&self, rows: i64) {
        self.0.fetch_add(rows, Ordering::Relaxed);
    }
}

/// Adds a charge, in the transaction of its order.
pub(super) fn insert(c: &Connection, charge: &Charge) -> rusqlite::Result<()> {
    let row = params![charge.key, charge.amount_cents, charge.card];
    c.prepare_cached(INSERT)?.execute(row)?;
    Ok(())
}

#[async_trait]
impl Outbox for Sqlite {
    async fn claim(&self, behind: i64, limit: u32, _: Duration) -> Result<Vec<(i64, Charge)>> {
        let job = move |c: &Connection| {
            let mut unsent = c.prepare_cached(UNSENT)?;
            let rows = unsent.query_map(params![behind, limit], |row| {
                let (key, amount_cents, card) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, Charge { key, amount_cents, card }))
            })?;
            rows.collect()
        };
        self.db.read(job).await.map_err(meaning)
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Charge)>> {
        self.claim(0, limit, Duration::ZERO).await
    }

    async fn sent(&self, rows: Vec<i64>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let left = self.outbox_rows.clone();
        let job = move |c: &Connection| {
            let mut sent = c.prepare_cached(SENT)?;
            let mut forgotten = 0;
            for row in &rows {
                forgotten += sent.execute([row])? as i64;
            }
            Ok(((), move || left.add(-forgotten)))
        };
        self.db.write_then(job).await.map_err(meaning)
    }

    async fn backlog(&self) -> Result<Backlog> {
        let job = |c: &Connection| {
            let oldest = c.prepare_cached(OLDEST)?.query_row([], |row| row.get(0)).optional()?;
            let charges: i64 = c.prepare_cached(COUNT)?.query_row([], |row| row.get(0))?;
            Ok(Backlog { charges: charges.cast_unsigned(), oldest })
        };
        self.db.read(job).await.map_err(meaning)
    }
}

//! Charges to be handed over.

use std::time::Duration;

use async_trait::async_trait;
use postgres_pool::Row;
use shop::{Backlog, Charge, Outbox, Result};

use super::{Postgres, column, meaning};

const UNSENT: &str = "select number, key, amount_cents, card from outbox order by number limit $1";
/// Skips what others are just claiming. A commit that nobody waits for: what is lost of it was a claim.
const CLAIM: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true)),
    free as (select number from outbox where claimed <= now() and number > $3 order by number limit $1
        for update skip locked)
    update outbox set claimed = now() + make_interval(secs => $2)
    from free, relaxed where outbox.number = free.number
    returning outbox.number, key, amount_cents, card";
const LET_GO: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true))
    update outbox set claimed = '-infinity' from relaxed where number = any($1)";
const SENT: &str = "delete from outbox where number = any($1)";
const BACKLOG: &str = "select (select count(*) from outbox) as charges,
    (select created_at from orders where key = (select key from outbox order by number limit 1))
    as oldest";

#[async_trait]
impl Outbox for Postgres {
    async fn claim(&self, behind: i64, limit: u32, span: Duration) -> Result<Vec<(i64, Charge)>> {
        let (limit, span) = (i64::from(limit), span.as_secs_f64());
        let rows = self.pool.ask(CLAIM, &[&limit, &span, &behind]).await.map_err(meaning)?;
        let mut claimed = rows.iter().map(numbered).collect::<Result<Vec<_>>>()?;
        claimed.sort_unstable_by_key(|(number, _)| *number);
        Ok(claimed)
    }

    async fn let_go(&self, rows: Vec<i64>) -> Result<()> {
        self.pool.ask(LET_GO, &[&rows]).await.map(drop).map_err(meaning)
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Charge)>> {
        let rows = self.pool.ask(UNSENT, &[&i64::from(limit)]).await.map_err(meaning)?;
        rows.iter().map(numbered).collect()
    }

    async fn sent(&self, rows: Vec<i64>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.pool.ask(SENT, &[&rows]).await.map(drop).map_err(meaning)
    }

    async fn backlog(&self) -> Result<Backlog> {
        let rows = self.pool.ask(BACKLOG, &[]).await.map_err(meaning)?;
        let Some(row) = rows.first() else { return Ok(Backlog::default()) };
        let charges: i64 = column(row, "charges")?;
        Ok(Backlog { charges: charges.cast_unsigned(), oldest: column(row, "oldest")? })
    }
}

fn numbered(row: &Row) -> Result<(i64, Charge)> {
    let (key, amount_cents) = (column(row, "key")?, column(row, "amount_cents")?);
    Ok((column(row, "number")?, Charge { key, amount_cents, card: column(row, "card")? }))
}

//! Finished charges.

use std::time::Duration;

use async_trait::async_trait;
use postgres_pool::Row;
use shop::{Begun, Charge, Ending, Error, PaymentStore, Result, Settlement, Verdict};

use super::{Postgres, column, meaning};
use crate::adapter::word;

const BEGIN: &str = "insert into payments (key, amount_cents, status, until)
    values ($1, $2, 'begun', now() + make_interval(secs => $3))
    on conflict (key) do update set until = excluded.until, amount_cents = excluded.amount_cents
    where payments.status = 'begun' and payments.until <= now() returning key";
/// A commit that nobody waits for: what is lost of it ends by itself.
const GIVE_UP: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true))
    update payments set until = now() from relaxed where key = $1 and status = 'begun'";
const RECORD: &str = "insert into payments (key, amount_cents, status, charge_id)
    values ($1, $2, $3, $4)
    on conflict (key) do update set amount_cents = excluded.amount_cents, status = excluded.status,
        charge_id = excluded.charge_id, until = null
    where payments.status = 'begun' returning key";
const FIND: &str = "select key, amount_cents, status, charge_id from payments
    where key = $1 and status <> 'begun'";

#[async_trait]
impl PaymentStore for Postgres {
    async fn begin(&self, charge: &Charge, span: Duration) -> Result<Begun> {
        let row: [&(dyn postgres_pool::ToSql + Sync); 3] =
            [&charge.key, &charge.amount_cents, &span.as_secs_f64()];
        let begun = self.pool.ask(BEGIN, &row).await.map_err(meaning)?;
        if !begun.is_empty() {
            return Ok(Begun::Ours);
        }
        Ok(self.find(&charge.key).await?.map_or(Begun::Theirs, Begun::Settled))
    }

    async fn give_up(&self, key: &str) -> Result<()> {
        self.pool.ask(GIVE_UP, &[&key]).await.map(drop).map_err(meaning)
    }

    async fn find(&self, key: &str) -> Result<Option<Settlement>> {
        let rows = self.pool.ask(FIND, &[&key]).await.map_err(meaning)?;
        rows.first().map(settlement).transpose()
    }

    async fn record(&self, settlement: Settlement) -> Result<Settlement> {
        let Settlement { key, amount_cents, verdict } = &settlement;
        let charge_id = Ending::from(verdict).charge_id;
        let row: [&(dyn postgres_pool::ToSql + Sync); 4] =
            [key, amount_cents, &word(verdict), &charge_id];
        let recorded = self.pool.ask(RECORD, &row).await.map_err(meaning)?;
        if !recorded.is_empty() {
            crash_point::reach(crash_point::PAYMENT_RECORDED);
            return Ok(settlement);
        }
        let gone = || Error::Internal(format!("the payment of {key} is there and is not"));
        self.find(key).await?.ok_or_else(gone)
    }
}

fn settlement(row: &Row) -> Result<Settlement> {
    let verdict = match column(row, "status")? {
        "paid" => Verdict::Paid { charge_id: column(row, "charge_id")? },
        "declined" => Verdict::Declined,
        "cancelled" => Verdict::Cancelled,
        other => return Err(Error::Internal(format!("a payment that is {other:?}"))),
    };
    Ok(Settlement { key: column(row, "key")?, amount_cents: column(row, "amount_cents")?, verdict })
}

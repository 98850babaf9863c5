//! Finished charges.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use shop::{Ending, PaymentStore, Result, Settlement, Verdict};

use super::{Sqlite, meaning, strange};
use crate::adapter::word;

const RECORD: &str = "insert into payments (key, amount_cents, status, charge_id)
    values (?1, ?2, ?3, ?4) on conflict (key) do nothing";
const FIND: &str = "select amount_cents, status, charge_id from payments where key = ?1";

#[async_trait]
impl PaymentStore for Sqlite {
    async fn find(&self, key: &str) -> Result<Option<Settlement>> {
        let key = key.to_owned();
        self.db.read(move |c| find(c, key).optional()).await.map_err(meaning)
    }

    async fn record(&self, settlement: Settlement) -> Result<Settlement> {
        let job = move |c: &Connection| {
            record(c, &settlement)?;
            find(c, settlement.key)
        };
        let recorded = self.db.write(job).await.map_err(meaning)?;
        crash_point::reach(crash_point::PAYMENT_RECORDED);
        Ok(recorded)
    }
}

/// Records a settlement, unless there is one for its key.
pub(super) fn record(c: &Connection, settlement: &Settlement) -> rusqlite::Result<()> {
    let Settlement { key, amount_cents, verdict } = settlement;
    let row = params![key, amount_cents, word(verdict), Ending::from(verdict).charge_id];
    c.prepare_cached(RECORD)?.execute(row).map(drop)
}

fn find(c: &Connection, key: String) -> rusqlite::Result<Settlement> {
    let (amount_cents, verdict) = c.prepare_cached(FIND)?.query_row([&key], |row| {
        let verdict = match row.get_ref(1)?.as_str()? {
            "paid" => Verdict::Paid { charge_id: row.get(2)? },
            "declined" => Verdict::Declined,
            "cancelled" => Verdict::Cancelled,
            other => return Err(strange(1, other)),
        };
        Ok((row.get(0)?, verdict))
    })?;
    Ok(Settlement { key, amount_cents, verdict })
}

//! The outboxes of all databases as one. Rows are told apart by which database they are of; what is in two of them, while a
//! customer moves, is handed over twice, as it may be anyway.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use shop::{Backlog, Charge, Outbox, Result};

use super::{DATABASES_MAX, Shard, Shards};

/// A row's number among those of all databases, and back.
fn global(row: i64, database: usize) -> i64 {
    row.saturating_mul(DATABASES_MAX as i64).saturating_add(database as i64)
}

fn local(row: i64) -> (i64, usize) {
    (row.div_euclid(DATABASES_MAX as i64), row.rem_euclid(DATABASES_MAX as i64) as usize)
}

impl Shards {
    /// What each of them has behind this row, in one sequence.
    async fn rows<'a, F>(
        &'a self,
        behind: i64,
        ask: impl Fn(&'a dyn Shard, i64) -> F,
    ) -> Result<Vec<(i64, Charge)>>
    where
        F: Future<Output = Result<Vec<(i64, Charge)>>>,
    {
        let (row, last) = local(behind);
        // Of the databases behind the last one, the row of the same number comes later, too.
        let behind = |number: usize| if number > last { row - 1 } else { row };
        let _still = self.all.read().await;
        let databases = self.databases.iter().enumerate();
        let asked = databases.map(|(number, database)| ask(&**database, behind(number)));
        let found = try_join_all(asked).await?.into_iter().enumerate();
        let rows = found.flat_map(|(number, rows)| {
            rows.into_iter().map(move |(row, charge)| (global(row, number), charge))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable_by_key(|(row, _)| *row);
        Ok(rows)
    }

    /// Has each database do something with its own of these rows.
    async fn each<'a, F>(
        &'a self,
        rows: impl Iterator<Item = i64>,
        work: impl Fn(&'a dyn Shard, Vec<i64>) -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let mut own = vec![Vec::new(); self.databases.len()];
        for (row, database) in rows.map(local) {
            if let Some(own) = own.get_mut(database) {
                own.push(row);
            }
        }
        let asked = self.databases.iter().zip(own).filter(|(_, own)| !own.is_empty());
        try_join_all(asked.map(|(database, own)| work(&**database, own))).await.map(drop)
    }
}

#[async_trait]
impl Outbox for Shards {
    async fn claim(&self, behind: i64, limit: u32, span: Duration) -> Result<Vec<(i64, Charge)>> {
        let rows =
            self.rows(behind, |database, behind| Outbox::claim(database, behind, limit, span));
        let mut rows = rows.await?;
        let left = rows.split_off(rows.len().min(limit as usize));
        if !left.is_empty() {
            Outbox::let_go(self, left.into_iter().map(|(row, _)| row).collect()).await?;
        }
        Ok(rows)
    }

    async fn let_go(&self, rows: Vec<i64>) -> Result<()> {
        self.each(rows.into_iter(), Outbox::let_go).await
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Charge)>> {
        let mut rows = self.rows(0, |database, _| database.unsent(limit)).await?;
        rows.truncate(limit as usize);
        Ok(rows)
    }

    async fn sent(&self, rows: Vec<i64>) -> Result<()> {
        self.each(rows.into_iter(), |database, rows| database.sent(rows)).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        let _still = self.all.read().await;
        let all = try_join_all(self.databases.iter().map(|database| database.backlog())).await?;
        let charges = all.iter().map(|backlog| backlog.charges).sum();
        Ok(Backlog { charges, oldest: all.iter().filter_map(|backlog| backlog.oldest).min() })
    }
}

//! A database of a PostgreSQL server, which may be far away, or away. Each operation is one statement, and so
//! one commit; many connections share an fsync.

mod events;
mod given_up;
mod orders;
mod outbox;
mod payments;
mod shard;
mod steps;
mod stock;
mod users;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use group_commit::Stats;
use postgres_pool::{Error as PoolError, Pool, Row, Schema, Synchronous, Target};
use shop::{Error, Result};

use crate::adapter::{Adapter, Database, ForFollowers, OpenError, Stores};
use crate::open::OF_SEVERAL;
use crate::shards::{Numbers, Shard};

pub(crate) const ADAPTER: Adapter =
    Adapter { scheme: "postgres", form: "postgres://USER@HOST:PORT/DATABASE", open };

const SCHEMA: Schema = Schema {
    name: "shop",
    migrations: &[
        include_str!("../migrations/postgres/0001_shop.sql"),
        include_str!("../migrations/postgres/0002_following.sql"),
        include_str!("../migrations/postgres/0003_sweeps.sql"),
        include_str!("../migrations/postgres/0004_out_of_stock.sql"),
        include_str!("../migrations/postgres/0005_steps.sql"),
        include_str!("../migrations/postgres/0006_cancelled.sql"),
        include_str!("../migrations/postgres/0007_shards.sql"),
    ],
};
/// Is committed as an order is, and leaves nothing.
const CHECK: &str = "select pg_logical_emit_message(true, 'triptych', '')::text,
    exists (select from notes) as is_of_several";

/// Connects when it is first asked: a service can be started before its database.
fn open(location: &str) -> std::result::Result<Stores, OpenError> {
    let location = location.strip_prefix("//").unwrap_or_default();
    let target = Target::parse(location).map_err(OpenError::Location)?;
    let copies = target.reads_copies.then(|| Pool::new(target.clone().copies(), None));
    Ok(Stores::of(Postgres {
        pool: Arc::new(Pool::new(target, Some(SCHEMA))),
        copies,
        horizon: AtomicI64::new(0),
        is_one_of_several: AtomicBool::new(false),
        numbers: OnceLock::new(),
        held: shard::Held::default(),
    }))
}

struct Postgres {
    pool: Arc<Pool>,
    /// Where what is final may be read, too.
    copies: Option<Pool>,
    /// The highest number of an order below which none is missing any more, as far as was asked.
    horizon: AtomicI64,
    /// Whether it is asked together with others.
    is_one_of_several: AtomicBool,
    /// Of all of them, once one was given here.
    numbers: OnceLock<Numbers>,
    held: shard::Held,
}

#[async_trait]
impl Database for Postgres {
    async fn check(&self) -> Result<()> {
        let rows = self.pool.ask(CHECK, &[]).await.map_err(meaning)?;
        let is_of_several = rows.first().map_or(Ok(false), |row| column(row, "is_of_several"))?;
        if is_of_several && !self.is_one_of_several.load(Ordering::Relaxed) {
            return Err(Error::Unavailable(OF_SEVERAL.to_owned()));
        }
        Ok(())
    }

    fn told(&self) -> String {
        let Target { connections, synchronous, reads_copies, .. } = self.pool.target();
        let how = match synchronous {
            Synchronous::On => "refused unless it has to fsync before it answers",
            Synchronous::Off => "synchronous_commit=off: what is answered may be lost",
        };
        let copies = if *reads_copies { "; what is final is read from a copy" } else { "" };
        format!("PostgreSQL, {connections} connections, {how}{copies}")
    }

    fn stats(&self) -> Option<Stats> {
        None
    }

    fn for_followers(self: Arc<Self>) -> Option<ForFollowers> {
        Some(ForFollowers::of(&self))
    }

    fn shard(self: Arc<Self>) -> Option<Arc<dyn Shard>> {
        self.is_one_of_several.store(true, Ordering::Relaxed);
        Some(self)
    }
}

/// What an error means to the business. None is certain, but that a statement was refused.
fn meaning(error: PoolError) -> Error {
    match error {
        PoolError::Unavailable(text) | PoolError::Unfit(text) => Error::Unavailable(text),
        PoolError::TimedOut(text) => Error::TimedOut(text),
        PoolError::Refused(text) => Error::Internal(text),
    }
}

/// A column that has the type that our statements ask for.
fn column<'a, T: postgres_pool::FromSql<'a>>(row: &'a Row, name: &str) -> Result<T> {
    row.try_get(name).map_err(|error| Error::Internal(format!("column {name}: {error}")))
}

/// As many as PostgreSQL can count.
fn bounded(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

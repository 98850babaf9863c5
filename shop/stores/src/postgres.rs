//! A database of a PostgreSQL server, which may be far away, or away. Each operation is one statement, and so
//! one commit; many connections share an fsync.

mod events;
mod given_up;
mod orders;
mod outbox;
mod payments;
mod steps;
mod stock;
mod users;

use std::sync::Arc;

use async_trait::async_trait;
use group_commit::Stats;
use postgres_pool::{Error as PoolError, Pool, Row, Schema, Synchronous, Target};
use shop::{Error, Result};

use crate::adapter::{Adapter, Database, ForFollowers, OpenError, Stores};

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
    ],
};
/// Is committed as an order is, and leaves nothing.
const CHECK: &str = "select pg_logical_emit_message(true, 'triptych', '')::text";

/// Connects when it is first asked: a service can be started before its database.
fn open(location: &str) -> std::result::Result<Stores, OpenError> {
    let location = location.strip_prefix("//").unwrap_or_default();
    let target = Target::parse(location).map_err(OpenError::Location)?;
    Ok(Stores::of(Postgres { pool: Pool::new(target, Some(SCHEMA)), horizon: 0.into() }))
}

struct Postgres {
    pool: Pool,
    /// The highest number of an order below which none is missing any more, as far as was asked.
    horizon: std::sync::atomic::AtomicI64,
}

#[async_trait]
impl Database for Postgres {
    async fn check(&self) -> Result<()> {
        self.pool.ask(CHECK, &[]).await.map(drop).map_err(meaning)
    }

    fn told(&self) -> String {
        let Target { connections, synchronous, .. } = self.pool.target();
        let how = match synchronous {
            Synchronous::On => "refused unless it has to fsync before it answers",
            Synchronous::Off => "synchronous_commit=off: what is answered may be lost",
        };
        format!("PostgreSQL, {connections} connections, {how}")
    }

    fn stats(&self) -> Option<Stats> {
        None
    }

    fn for_followers(self: Arc<Self>) -> Option<ForFollowers> {
        Some(ForFollowers::of(&self))
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

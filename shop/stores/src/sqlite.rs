//! A SQLite file with group commit. Rows are made and read here; the text of items is written and
//! parsed by the callers' threads, not by the one that writes.

mod events;
mod given_up;
mod orders;
mod outbox;
mod payments;
mod shard;
mod steps;
mod stock;
mod together;
mod users;

use std::sync::Arc;

use async_trait::async_trait;
use group_commit::{Location, Options, Schema, Stats, Synchronous};
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode};
use shop::{Error, Result};

use crate::adapter::{Adapter, Database, ForFollowers, OpenError, Stores, Together};
use crate::shards::Shard;

pub(crate) const ADAPTER: Adapter = Adapter { scheme: "sqlite", form: "sqlite:PATH", open };

const SCHEMA: Schema<'_> = Schema {
    name: "database of the shop",
    application_id: i32::from_be_bytes(*b"TriS"),
    migrations: &[
        include_str!("../migrations/0001_shop.sql"),
        include_str!("../migrations/0002_following.sql"),
        include_str!("../migrations/0003_stock.sql"),
        include_str!("../migrations/0004_out_of_stock.sql"),
        include_str!("../migrations/0005_steps.sql"),
        include_str!("../migrations/0006_cancelled.sql"),
        include_str!("../migrations/0007_shards.sql"),
    ],
};
/// One may be held up by a long page of the audit while another looks charges up.
const READERS: usize = 2;

fn open(location: &str) -> std::result::Result<Stores, OpenError> {
    let location = Location::parse(location).map_err(|e| OpenError::Location(e.to_string()))?;
    let sqlite = Sqlite::open(&location).map_err(|error| OpenError::Database {
        place: location.path.display().to_string(),
        source: error.into(),
    })?;
    Ok(Stores::of(sqlite))
}

struct Sqlite {
    db: group_commit::Database,
    outbox_rows: outbox::Rows,
    synchronous: Synchronous,
    /// Whether it was one of several when it was opened.
    is_of_several: bool,
}

impl Sqlite {
    fn open(location: &Location) -> std::result::Result<Self, group_commit::Error> {
        let Location { path, synchronous } = location;
        let options = Options { readers: READERS, synchronous: *synchronous, ..Options::default() };
        let open = group_commit::Database::open_with;
        let look = |c: &Connection| Ok((outbox::Rows::counted(c)?, shard::is_of_several(c)?));
        let (db, (outbox_rows, is_of_several)) = open(path, SCHEMA, options, look)?;
        Ok(Self { db, outbox_rows, synchronous: *synchronous, is_of_several })
    }
}

#[async_trait]
impl Database for Sqlite {
    async fn check(&self) -> Result<()> {
        self.db.check().await.map_err(meaning)
    }

    fn told(&self) -> String {
        format!("SQLite, {}, {READERS} readers, one fsync for all that wait", self.synchronous)
    }

    fn stats(&self) -> Option<Stats> {
        Some(self.db.stats())
    }

    fn for_followers(self: Arc<Self>) -> Option<ForFollowers> {
        Some(ForFollowers::of(&self))
    }

    fn is_of_several(&self) -> bool {
        self.is_of_several
    }

    fn shard(self: Arc<Self>) -> Option<Arc<dyn Shard>> {
        Some(self)
    }

    fn together(self: Arc<Self>) -> Option<Together> {
        let both = Arc::new(together::Together::over(self));
        Some(Together { orders: Arc::clone(&both) as _, payments: both })
    }
}

/// What a job that did several things did of each. What its commit failed of is the failure of each.
fn each<T>(
    count: usize,
    done: std::result::Result<Vec<T>, group_commit::Error>,
) -> impl Iterator<Item = Result<T>> {
    let all: Vec<Result<T>> = match done.map_err(meaning) {
        Ok(done) => done.into_iter().map(Ok).collect(),
        Err(why) => (0..count).map(|_| Err(why.clone())).collect(),
    };
    all.into_iter()
}

/// What an error means to the business. Even a busy database is `Unavailable`, not `Busy`: the
/// commit's effect is not certain.
fn meaning(error: group_commit::Error) -> Error {
    let text = error.to_string();
    let code = match error {
        group_commit::Error::Sqlite(error) => error.sqlite_error_code(),
        group_commit::Error::Gone(_) => return Error::Unavailable(text),
        _ => None,
    };
    match code {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory,
        ) => Error::Unavailable(text),
        _ => Error::Internal(text),
    }
}

/// A value that no writer of ours makes.
fn strange(column: usize, found: &str) -> rusqlite::Error {
    let text = format!("{found:?} is not a known word");
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, text.into())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use shop::{User, UserId, UserStore};
    use uuid::Uuid;

    use super::*;

    fn durable(path: PathBuf) -> Location {
        Location { path, synchronous: group_commit::Synchronous::Full }
    }

    #[track_caller]
    fn check(code: i32, expected: &Error) {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let found = meaning(group_commit::Error::Sqlite(error));
        assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(expected), "{found}");
    }

    #[test]
    fn errors_are_named_by_their_meaning() {
        let unavailable = Error::Unavailable(String::new());
        check(rusqlite::ffi::SQLITE_FULL, &unavailable);
        check(rusqlite::ffi::SQLITE_IOERR_FSYNC, &unavailable);
        check(rusqlite::ffi::SQLITE_BUSY, &unavailable);
        check(rusqlite::ffi::SQLITE_LOCKED, &unavailable);
        check(rusqlite::ffi::SQLITE_READONLY_DBMOVED, &unavailable);
        check(rusqlite::ffi::SQLITE_CANTOPEN, &unavailable);
        check(rusqlite::ffi::SQLITE_NOMEM, &unavailable);
        check(rusqlite::ffi::SQLITE_CORRUPT, &Error::Internal(String::new()));
        check(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE, &Error::Internal(String::new()));
    }

    #[tokio::test]
    async fn a_file_that_was_removed_is_unavailable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db");
        let sqlite = Sqlite::open(&durable(path.clone())).unwrap();
        std::fs::remove_file(path).unwrap();
        let user = User {
            id: UserId(Uuid::nil()),
            email: "a@example.com".to_owned(),
            password_hash: String::new(),
        };
        let error = UserStore::insert(&sqlite, user).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unavailable(text) if text.contains("not there")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_writing_connection_has_the_pragmas_of_durability() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&durable(dir.path().join("shop.db"))).unwrap();
        let pragma = |name: &'static str| {
            sqlite.db.write(move |c| {
                c.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            })
        };
        assert_eq!(pragma("journal_mode").await.unwrap(), "wal".to_owned().into());
        assert_eq!(pragma("synchronous").await.unwrap(), 2.into(), "FULL");
        assert_eq!(pragma("foreign_keys").await.unwrap(), 1.into());
    }

    #[tokio::test]
    async fn a_full_database_is_unavailable_and_then_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&durable(dir.path().join("shop.db"))).unwrap();
        let limit =
            |pages: i64| sqlite.db.write(move |c| c.pragma_update(None, "max_page_count", pages));
        let long = |n: u128| {
            let email = format!("{n}@{}", "x".repeat(4_000));
            User { id: UserId(Uuid::from_u128(n)), email, password_hash: String::new() }
        };
        limit(20).await.unwrap();
        let mut number = 0;
        let error = loop {
            match UserStore::insert(&sqlite, long(number)).await {
                Ok(()) => number += 1,
                Err(error) => break error,
            }
        };
        assert!(number < 20, "{number} accounts of a page each");
        let Error::Unavailable(text) = error else { panic!("{error:?}") };
        assert!(text.contains("full"), "{text}");
        limit(1_000).await.unwrap();
        assert_eq!(UserStore::insert(&sqlite, long(number)).await, Ok(()));
    }

    #[tokio::test]
    async fn every_table_is_strict() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&durable(dir.path().join("shop.db"))).unwrap();
        let ask = "select count(*), sum(strict) from pragma_table_list
                   where type = 'table' and schema = 'main' and name not like 'sqlite%'";
        let job = move |c: &rusqlite::Connection| {
            c.query_row(ask, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        };
        assert_eq!(sqlite.db.read(job).await.unwrap(), (13, 13));
    }
}

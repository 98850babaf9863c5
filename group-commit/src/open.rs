//! Connections with the pragmas that durability needs, read back.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
use rusqlite::{Connection, OpenFlags};

use crate::{Error, Synchronous};

/// Up to 3.51.2 two connections could lose a commit when the WAL was reset.
const VERSION_MIN: i32 = 3_051_003;
const BUSY: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 64;

pub(crate) fn writing(
    path: &Path,
    migrations: &[&str],
    synchronous: Synchronous,
) -> Result<Connection, Error> {
    version(path)?;
    let connection = Connection::open(path)?;
    prepare_once(&connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    expect(path, "journal_mode", &mode, "wal")?;
    let number = synchronous.number();
    connection.pragma_update(None, "synchronous", number)?;
    let found: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    expect(path, "synchronous", &found.to_string(), number)?;
    if synchronous != Synchronous::Full {
        let shown = path.display();
        eprintln!("{shown}: synchronous is {synchronous:?}: a power cut undoes what was answered");
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&connection, migrations)?;
    Ok(connection)
}

pub(crate) fn reading(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare_once(&connection)?;
    Ok(connection)
}

/// Keeps statements once they are prepared. Without the planner's stability guarantee SQLite
/// prepares a statement again whenever a `limit ?` is bound, to plan for its value.
fn prepare_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn version(path: &Path) -> Result<(), Error> {
    if rusqlite::version_number() >= VERSION_MIN {
        return Ok(());
    }
    expect(path, "the SQLite version", rusqlite::version(), "3.51.3 or newer")
}

fn expect(
    path: &Path,
    what: &'static str,
    found: &str,
    expected: &'static str,
) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::NotDurable { path: path.to_owned(), what, found: found.to_owned(), expected })
}

/// Applies the batches that `user_version` has not counted, each in one transaction.
fn migrate(connection: &Connection, migrations: &[&str]) -> Result<(), Error> {
    let seen: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (number, batch) in migrations.iter().enumerate().skip(seen as usize) {
        let count = number + 1;
        connection.execute_batch(&format!(
            "begin immediate; {batch}; pragma user_version = {count}; commit"
        ))?;
    }
    Ok(())
}

//! Connections with the pragmas that durability needs, read back.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
use rusqlite::{Connection, OpenFlags};

use crate::{Error, Schema, Synchronous};

/// Up to 3.51.2 two connections could lose a commit when the WAL was reset.
const VERSION_MIN: i32 = 3_051_003;
pub(crate) const BUSY: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 64;

/// What must hold before a file is touched.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    version(path)?;
    // SQLite takes this name for a database that no file holds.
    let found = if path == Path::new(":memory:") { "memory" } else { "wal" };
    expect(path, "journal_mode", found, "wal")
}

pub(crate) fn writing(
    path: &Path,
    schema: Schema<'_>,
    synchronous: Synchronous,
) -> Result<Connection, Error> {
    // Without the flag that reads a path as a URI: the file is the one that was locked.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare_once(&connection)?;
    let seen = recognize(&connection, path, schema)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    expect(path, "journal_mode", &mode, "wal")?;
    let number = synchronous.number();
    connection.pragma_update(None, "synchronous", number)?;
    let found: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    expect(path, "synchronous", &found.to_string(), number)?;
    if synchronous != Synchronous::Full {
        let shown = path.display();
        process_log::say(format_args!(
            "{shown}: synchronous is {synchronous:?}: a power cut undoes what was answered"
        ));
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten, also where pages become free.
    connection.pragma_update(None, "secure_delete", true)?;
    let found: i64 = connection.pragma_query_value(None, "secure_delete", |row| row.get(0))?;
    expect(path, "secure_delete", &found.to_string(), "1")?;
    migrate(&connection, schema, seen)?;
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

/// How many migrations the file has seen. Nothing is changed before it is clear whose it is.
fn recognize(connection: &Connection, path: &Path, schema: Schema<'_>) -> Result<usize, Error> {
    let foreign = |found: String| {
        let (path, expected) = (path.to_owned(), schema.name);
        Error::Foreign { path, expected, found }
    };
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
    let (id, seen): (i32, usize) = match (number("application_id"), number("user_version")) {
        (Ok(id), Ok(seen)) => (id, usize::try_from(seen).unwrap_or(usize::MAX)),
        (Err(error), _) | (_, Err(error)) => {
            let code = error.sqlite_error_code();
            let other = code == Some(rusqlite::ErrorCode::NotADatabase);
            return Err(if other { foreign(error.to_string()) } else { error.into() });
        }
    };
    let ask = "select count(*) from sqlite_schema";
    let rows: i64 = connection.query_row(ask, [], |row| row.get(0))?;
    if id == 0 && seen == 0 && rows == 0 {
        return Ok(0);
    }
    if id != schema.application_id {
        let expected = schema.application_id;
        return Err(foreign(format!("its application_id is {id:#x}, not {expected:#x}")));
    }
    if seen > schema.migrations.len() {
        let known = schema.migrations.len();
        return Err(foreign(format!("its version is {seen}; this program knows up to {known}")));
    }
    Ok(seen)
}

/// Applies the batches that the file has not seen, each in one transaction.
fn migrate(connection: &Connection, schema: Schema<'_>, seen: usize) -> Result<(), Error> {
    let Schema { application_id, migrations, .. } = schema;
    for (number, batch) in migrations.iter().enumerate().skip(seen) {
        let count = number + 1;
        connection.execute_batch(&format!(
            "begin immediate; {batch}; pragma user_version = {count};
             pragma application_id = {application_id}; commit"
        ))?;
    }
    Ok(())
}

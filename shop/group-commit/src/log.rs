//! SQLite's log beside the file holds what was written, and so what has been deleted since. It is emptied
//! from time to time: with `secure_delete`, which overwrites in the file, what is deleted is gone then.

use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use crate::open::BUSY;

/// How soon it is tried again when readers were in the way.
const AGAIN: Duration = Duration::from_secs(1);

/// When the log is to be emptied.
pub(crate) struct Log {
    after: Duration,
    due: Option<Instant>,
}

impl Log {
    /// A log that may hold something already, of a process that was killed.
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, due: Some(Instant::now() + after) }
    }

    /// Something was committed.
    pub(crate) fn written(&mut self) {
        if self.due.is_none() {
            self.due = Some(Instant::now() + self.after);
        }
    }

    /// When it is to be emptied, if there is anything in it.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Empties the log if it is time. It waits for nobody: a reader that is at work keeps it for a while.
    pub(crate) fn empty_if_due(&mut self, connection: &Connection) {
        if self.due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        let emptied = empty(connection).unwrap_or(false);
        self.due = if emptied { None } else { Some(Instant::now() + AGAIN) };
    }
}

fn empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(Duration::ZERO)?;
    let mut checkpoint = connection.prepare_cached("pragma wal_checkpoint(truncate)")?;
    let busy = checkpoint.query_row([], |row| row.get::<_, bool>(0));
    connection.busy_timeout(BUSY)?;
    Ok(!busy?)
}

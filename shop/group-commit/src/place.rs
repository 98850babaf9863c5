//! Whether a database is still where it was opened: the file itself and SQLite's log beside it. What is
//! committed to files that have no name any more is lost when they are closed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use own_file::{Identity, OwnFile};

use crate::Error;

/// The files of a database. Shared by all threads that use them: closing any descriptor of the file
/// would drop SQLite's own locks, and no other process may have it before all are gone.
pub(crate) struct Place {
    file: OwnFile,
    log: PathBuf,
    log_identity: OnceLock<Identity>,
}

impl Place {
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        let file = OwnFile::open(path)?;
        let mut log = OsString::from(path);
        log.push("-wal");
        Ok(Self { file, log: log.into(), log_identity: OnceLock::new() })
    }

    /// What is not there any more. To be asked after a commit, which has made the log.
    pub(crate) fn gone(&self) -> Option<PathBuf> {
        if !self.file.is_there() {
            return Some(self.file.path().to_owned());
        }
        let log = Identity::at(&self.log);
        let same = log.is_some_and(|found| *self.log_identity.get_or_init(|| found) == found);
        (!same).then(|| self.log.clone())
    }
}

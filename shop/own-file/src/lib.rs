//! A file that this process alone writes, and that is still where it was named: two writers of one
//! file destroy it, and what is written to a file that was removed is lost, though every call
//! succeeds. It knows no format.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// A start waits for a second for a predecessor that is ending: it may have a commit under way.
const POLL: Duration = Duration::from_millis(10);
const POLLS_MAX: u32 = 100;
/// What is kept here concerns nobody else on the machine.
const OWNER_ALONE: u32 = 0o600;

/// Why a file is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("{0} is in use by another process; give this one a file of its own")]
    InUse(PathBuf),
    /// The system refuses.
    #[error("cannot open {path}: {source}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A file that is locked for as long as this lives (`flock`: it ends with the process, however that
/// ends).
#[derive(Debug)]
pub struct OwnFile {
    file: File,
    path: PathBuf,
    identity: Identity,
}

/// Which file it is, whatever it is called: the device and the number on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl Identity {
    /// Of what is at this path now; none if nothing is.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|found| Self(found.dev(), found.ino()))
    }
}

impl OwnFile {
    /// Opens or creates the file, to be read and appended to, and locks it; waits a second for
    /// another that has it. Blocks meanwhile.
    ///
    /// # Errors
    /// If another process keeps it, or it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refused = |source| Error::Refused { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(OWNER_ALONE);
        let file = options.open(path).map_err(refused)?;
        let mut polls = 0;
        while let Err(error) = file.try_lock() {
            match error {
                TryLockError::WouldBlock if polls < POLLS_MAX => sleep(POLL),
                TryLockError::WouldBlock => return Err(Error::InUse(path.to_owned())),
                TryLockError::Error(error) => return Err(refused(error)),
            }
            polls += 1;
        }
        // Also of a file that was there before, and of others than the umask lets through.
        file.set_permissions(Permissions::from_mode(OWNER_ALONE)).map_err(refused)?;
        let found = file.metadata().map_err(refused)?;
        let identity = Identity(found.dev(), found.ino());
        Ok(Self { file, path: path.to_owned(), identity })
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its path still names it: not if it was removed, moved away or replaced.
    #[must_use]
    pub fn is_there(&self) -> bool {
        Identity::at(&self.path) == Some(self.identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_owner_until_that_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let first = OwnFile::open(&path).unwrap();
        let alias = folder.path().join("alias");
        std::os::unix::fs::symlink(&path, &alias).unwrap();
        assert!(matches!(OwnFile::open(&alias), Err(Error::InUse(found)) if found == alias));
        drop(first);
        for mode in [0o600, 0o644] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(OwnFile::open(&alias).is_ok());
            assert_eq!(path.metadata().unwrap().mode() & 0o777, OWNER_ALONE);
        }
    }

    #[test]
    fn a_predecessor_that_is_ending_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let first = OwnFile::open(&path).unwrap();
        let second = std::thread::spawn(move || OwnFile::open(&path).map(drop));
        drop(first);
        second.join().unwrap().unwrap();
    }

    #[test]
    fn a_file_that_is_removed_or_replaced_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("x"), folder.path().join("y"));
        let own = OwnFile::open(&path).unwrap();
        assert!(own.is_there());
        std::fs::rename(&path, &away).unwrap();
        assert!(!own.is_there());
        std::fs::write(&path, "another").unwrap();
        assert!(!own.is_there());
        std::fs::rename(&away, &path).unwrap();
        assert!(own.is_there(), "back where it was");
        std::fs::remove_file(&path).unwrap();
        assert!(!own.is_there());
    }
}

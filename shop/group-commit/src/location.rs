//! Where a database is and how it treats the disk: what stands after `sqlite:` in a store's URL.

use std::fmt;
use std::path::PathBuf;

/// SQLite's `synchronous`. Only [`Self::Full`] keeps a power cut from undoing what was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Never fsyncs: a negative control. A power cut may lose everything.
    Off,
    /// Fsyncs at checkpoints only: a power cut loses the last commits.
    Normal,
    /// Fsyncs the log before a commit returns.
    #[default]
    Full,
}

impl Synchronous {
    /// The number that `PRAGMA synchronous` reads back.
    pub(crate) fn number(self) -> &'static str {
        match self {
            Self::Off => "0",
            Self::Normal => "1",
            Self::Full => "2",
        }
    }
}

impl fmt::Display for Synchronous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "WAL, synchronous=OFF (no fsync)",
            Self::Normal => "WAL, synchronous=NORMAL (fsync at checkpoints alone)",
            Self::Full => "WAL, synchronous=FULL (answered after the fsync)",
        })
    }
}

/// A file, and whether its commits reach the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub path: PathBuf,
    /// Full unless the URL says otherwise.
    pub synchronous: Synchronous,
}

/// Why a location is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Nothing before the `?`.
    #[error("sqlite: lacks the path of its file, as in sqlite:/var/lib/shop.db")]
    NoPath,
    /// Something else than `synchronous=…` after the `?`.
    #[error(
        "{0:?} is no setting of a file; expected synchronous=off, synchronous=normal or synchronous=full"
    )]
    Setting(String),
}

impl Location {
    /// Reads `PATH` or `PATH?synchronous=off|normal|full`.
    ///
    /// # Errors
    /// If there is no path, or another setting.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let (path, setting) = text.split_once('?').unwrap_or((text, "synchronous=full"));
        if path.is_empty() {
            return Err(LocationError::NoPath);
        }
        let synchronous = match setting {
            "synchronous=off" => Synchronous::Off,
            "synchronous=normal" => Synchronous::Normal,
            "synchronous=full" => Synchronous::Full,
            other => return Err(LocationError::Setting(other.to_owned())),
        };
        Ok(Self { path: PathBuf::from(path), synchronous })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_durable_unless_it_says_otherwise() {
        let check = |text: &str, synchronous| {
            let expected = Location { path: PathBuf::from("/x/y.db"), synchronous };
            assert_eq!(Location::parse(text), Ok(expected), "{text}");
        };
        check("/x/y.db", Synchronous::Full);
        check("/x/y.db?synchronous=full", Synchronous::Full);
        check("/x/y.db?synchronous=normal", Synchronous::Normal);
        check("/x/y.db?synchronous=off", Synchronous::Off);
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        for text in ["/x?", "/x?sync=off", "/x?synchronous=OFF", "/x?synchronous=off&a=b"] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains("synchronous=full"), "{text}: {error}");
        }
        assert_eq!(Location::parse(""), Err(LocationError::NoPath));
        assert_eq!(Location::parse("?synchronous=off"), Err(LocationError::NoPath));
    }
}

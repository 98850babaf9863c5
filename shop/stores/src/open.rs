//! From a URL to the four storage ports.

use std::sync::Arc;

use group_commit::{Location, LocationError, Stats};
use shop::{OrderStore, Outbox, PaymentStore, Result, UserStore};

use crate::memory::Memory;
use crate::sqlite::Sqlite;

/// The storage ports, all answered by one database; a service uses only its own.
#[derive(Clone)]
pub struct Stores {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Orders.
    pub orders: Arc<dyn OrderStore>,
    /// Finished charges.
    pub payments: Arc<dyn PaymentStore>,
    /// Charges to be handed over.
    pub outbox: Arc<dyn Outbox>,
    sqlite: Option<Arc<Sqlite>>,
}

impl Stores {
    /// Whether the store would keep something now: it writes, durably, and reads.
    ///
    /// # Errors
    /// `Unavailable` or `Internal`, as any operation.
    pub async fn check(self) -> Result<()> {
        match &self.sqlite {
            Some(sqlite) => sqlite.check().await,
            None => Ok(()),
        }
    }

    /// How it keeps what it is given, for people.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.sqlite {
            Some(sqlite) => sqlite.told(),
            None => "memory: nothing is durable".to_owned(),
        }
    }

    /// Commits and transactions since the start; `None` if the adapter has no group commit.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        self.sqlite.as_ref().map(|s| s.stats())
    }
}

/// Why a store cannot be opened. Of a URL that is not understood it shows the scheme alone: the
/// rest may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No adapter has this scheme.
    #[error("no store has the scheme {found:?}; known are sqlite:PATH and memory:")]
    UnknownScheme {
        /// What stands before the colon.
        found: String,
    },
    /// `sqlite:` and something after it that is not understood.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// `memory:` and something after it.
    #[error("memory: takes nothing after the colon; for a file use sqlite:PATH")]
    Unexpected,
    /// SQLite cannot open the file, or not as durability needs.
    #[error("cannot open {path}: {source}")]
    Sqlite {
        /// The file.
        path: String,
        /// Why.
        source: group_commit::Error,
    },
}

/// Opens `sqlite:PATH` (creates the file, runs migrations, blocks meanwhile), durable unless
/// `?synchronous=off` or `=normal` follows, or `memory:` (empty, for tests).
///
/// # Errors
/// If the URL is not understood, or the file cannot be opened.
pub fn open(url: &str) -> std::result::Result<Stores, OpenError> {
    let unknown = |found: &str| OpenError::UnknownScheme { found: found.to_owned() };
    let Some((scheme, rest)) = url.split_once(':') else { return Err(unknown("")) };
    match (scheme, rest) {
        ("memory", "") => Ok(stores(&Arc::new(Memory::default()), None)),
        ("memory", _) => Err(OpenError::Unexpected),
        ("sqlite", location) => {
            let location = Location::parse(location)?;
            let path = || location.path.display().to_string();
            let sqlite = Sqlite::open(&location)
                .map_err(|source| OpenError::Sqlite { path: path(), source })?;
            let sqlite = Arc::new(sqlite);
            Ok(stores(&sqlite, Some(Arc::clone(&sqlite))))
        }
        (other, _) => Err(unknown(other)),
    }
}

fn stores<T>(all: &Arc<T>, sqlite: Option<Arc<Sqlite>>) -> Stores
where
    T: UserStore + OrderStore + PaymentStore + Outbox + 'static,
{
    Stores {
        users: Arc::clone(all) as _,
        orders: Arc::clone(all) as _,
        payments: Arc::clone(all) as _,
        outbox: Arc::clone(all) as _,
        sqlite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &str) {
        match open(url) {
            Ok(_) => panic!("{url} was opened"),
            Err(error) => assert!(error.to_string().contains(expected), "{url}: {error}"),
        }
    }

    #[test]
    fn a_url_that_cannot_be_opened_is_told_why() {
        let known = "known are sqlite:PATH and memory:";
        check("postgres://me:secret@host/shop", &format!("scheme \"postgres\"; {known}"));
        check("SQLite:/tmp/x.db", known);
        check("/tmp/x.db", known);
        check("", known);
        check("sqlite:", "lacks the path");
        check("sqlite:/x.db?synchronous=no", "expected synchronous=off");
        check("memory:x", "takes nothing");
        check("sqlite:/no/such/folder/x.db", "cannot open /no/such/folder/x.db");
        check("sqlite::memory:", "journal_mode is memory, expected wal");
        let secret = open("postgres://me:secret@host/shop").err().unwrap().to_string();
        assert!(!secret.contains("secret"), "{secret}");
    }

    #[test]
    fn memory_has_no_counters() {
        assert_eq!(open("memory:").unwrap().stats(), None);
    }
}

//! The databases that there are, and from a URL to one of them. To add one: its folder, its `mod` in
//! `lib.rs`, and its name here. The contract suite asks each of them.

use crate::adapter::{Adapter, OpenError, Stores};
#[cfg(feature = "postgres")]
use crate::postgres;
use crate::{memory, shards, sqlite};

const ADAPTERS: &[Adapter] = &[
    sqlite::ADAPTER,
    memory::ADAPTER,
    shards::ADAPTER,
    #[cfg(feature = "postgres")]
    postgres::ADAPTER,
];

/// Why one of several is not used alone.
pub(crate) const OF_SEVERAL: &str =
    "this database has a part of the orders of several: name all of them, as shards:N;URL;URL";

/// All that there are.
#[must_use]
pub fn adapters() -> &'static [Adapter] {
    ADAPTERS
}

/// Opens `sqlite:PATH` (creates the file, runs migrations, blocks meanwhile), durable unless
/// `?synchronous=off` or `=normal` follows; `postgres://USER@HOST:PORT/DATABASE`, which need not be there yet
/// (`?pool=16`, for comparison `synchronous=off`; of several `HOST:PORT` that copy one another the one that writes is
/// meant, and with `reads=copy` what is final is read from another); `shards:N;URL;URL`, orders over so many of these at first, and the
/// others once they are taken into use; or `memory:` (empty, for tests).
///
/// # Errors
/// If the URL is not understood, or the database cannot be opened.
pub fn open(url: &str) -> Result<Stores, OpenError> {
    let stores = open_any(url)?;
    if stores.is_of_several() {
        return Err(OpenError::Location(OF_SEVERAL.to_owned()));
    }
    Ok(stores)
}

/// The same, also of one of several.
pub(crate) fn open_any(url: &str) -> Result<Stores, OpenError> {
    let (scheme, location) = url.split_once(':').unwrap_or(("", url));
    let adapter = adapters().iter().find(|adapter| adapter.scheme == scheme);
    let adapter = adapter.ok_or_else(|| {
        let known: Vec<_> = adapters().iter().map(|adapter| adapter.form).collect();
        let mut known = known.join(", ");
        if scheme == "postgres" {
            let build = "cargo build --release --workspace --bins --features engines";
            known.push_str(&format!("; build with `{build}`"));
        }
        OpenError::UnknownScheme { found: scheme.to_owned(), known }
    })?;
    (adapter.open)(location)
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
        let known = "known are sqlite:PATH, memory:";
        check("mysql://me:secret@host/shop", &format!("scheme \"mysql\"; {known}"));
        check("SQLite:/tmp/x.db", known);
        check("/tmp/x.db", known);
        check("", known);
        check("sqlite:", "lacks the path");
        check("sqlite:/x.db?synchronous=no", "expected synchronous=off");
        check("memory:x", "takes nothing");
        check("sqlite:/no/such/folder/x.db", "cannot open /no/such/folder/x.db");
        let expected = "expected shards:N;URL;URL: N databases";
        for url in ["shards:", "shards:0;memory:", "shards:2;memory:", "shards:x;memory:"] {
            check(url, expected);
        }
        check("shards:1;memory:", "cannot be one of several");
        check("sqlite::memory:", "journal_mode is memory, expected wal");
        for url in ["mysql://me:secret@host/shop", "postgres://me:secret@host/shop"] {
            let secret = open(url).err().unwrap().to_string();
            assert!(!secret.contains("secret"), "{secret}");
        }
    }

    #[test]
    fn memory_has_no_counters() {
        assert_eq!(open("memory:").unwrap().stats(), None);
    }
}

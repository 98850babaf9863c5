//! `poisoned.csv.zst`: the attempts to place poisonous orders, rows as of the history. They are asked
//! for like any other, but no part of the load that is measured.

use std::path::Path;

use super::packed_table::read_table;
use crate::Attempt;
use crate::files;

/// The idempotency key of a trial's n-th poisonous order.
#[must_use]
pub fn key(prefix: &str, n: u32) -> String {
    format!("{prefix}-poison-{n}")
}

/// The attempts of a record.
///
/// # Errors
/// If the table is there and cannot be read.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Attempt>> {
    let path = folder.join(files::POISONED);
    if !path.exists() {
        return Ok(Vec::new());
    }
    read_table(&path)?.collect()
}

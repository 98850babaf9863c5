//! Files in which a few words are kept: whole or not at all, and on the disk before this returns.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What was written last; none if nothing ever was.
///
/// # Errors
/// If it cannot be read, or is not what we write.
pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    let text = match std::fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| file.display().to_string())?,
    };
    let what = || format!("{}: expected what this program has written", file.display());
    serde_json::from_slice(&text).with_context(what).map(Some)
}

/// Writes it in the place of what was there.
///
/// # Errors
/// If that cannot be done.
pub(crate) fn write(file: &Path, what: &impl Serialize) -> Result<()> {
    let folder = file.parent().context("a file without a folder")?;
    let (new, text) = (file.with_extension("new"), serde_json::to_vec(what)?);
    let written = File::create(&new).and_then(|mut new| {
        new.write_all(&text)?;
        new.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&new, file));
    let kept = renamed.and_then(|()| File::open(folder)?.sync_all());
    kept.with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use failover::Data;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_not_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data.json");
        assert_eq!(read::<Data>(&file).unwrap(), None);
        for data in [Data::Replica(7), Data::None] {
            write(&file, &data).unwrap();
            assert_eq!(read(&file).unwrap(), Some(data));
        }
        std::fs::write(&file, "{\"primary\":").unwrap();
        let refused = read::<Data>(&file).unwrap_err();
        assert!(format!("{refused:#}").contains("data.json: expected"), "{refused:#}");
    }
}

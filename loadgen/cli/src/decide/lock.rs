//! One process at a time works on a run's folder. The lock (`flock`) ends with its holder, however that ends.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, bail};

/// Its file in the run's folder, with the holder's process in it.
const NAME: &str = "decide.lock";

/// Takes a folder until what is returned is dropped.
///
/// # Errors
/// If another process has it, with its number; or the file cannot be made.
pub(super) fn take(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(NAME);
    let cannot = || format!("cannot lock {}", path.display());
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            bail!(
                "{} is under way: process {} works on it; wait until it has ended, or end it, and then go on with it",
                folder.display(),
                holder.trim()
            )
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
    }
    fs::write(&path, format!("{}\n", std::process::id())).with_context(cannot)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_and_then_another() {
        let folder = tempfile::tempdir().unwrap();
        let held = take(folder.path()).unwrap();
        let error = take(folder.path()).unwrap_err().to_string();
        let own = format!("process {} works on it", std::process::id());
        assert!(error.contains(&own), "{error}");
        drop(held);
        take(folder.path()).unwrap();
        let error = take(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("cannot lock"), "{error}");
    }
}

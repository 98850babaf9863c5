//! What lies in a folder that was given.

use std::fs;
use std::path::{Path, PathBuf};

use super::broken::Broken;

/// Its folders, sorted.
pub(super) fn subfolders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Broken::at(folder)
            .expected("a readable folder")
            .found(&error.to_string())
            .remedy("give the folder that a run has written, e.g. results/latest")
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

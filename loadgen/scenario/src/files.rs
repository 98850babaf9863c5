//! Scenario and system files by name.

use std::path::{Path, PathBuf};

use crate::config::ConfigError;

/// The file of a name: as given if it is a path, else `folder/name.toml`.
pub fn locate(folder: &str, name: &str) -> Result<PathBuf, ConfigError> {
    if name.contains('/') || name.ends_with(".toml") {
        return Ok(PathBuf::from(name));
    }
    let path = Path::new(folder).join(format!("{name}.toml"));
    if path.exists() {
        return Ok(path);
    }
    let known = names(folder);
    let nearest = known.iter().min_by_key(|k| strsim::damerau_levenshtein(k, name));
    let hint = match nearest {
        Some(near) => format!("; did you mean {near}? There are: {}", known.join(", ")),
        None => format!(
            "; there are no .toml files in ./{folder} (run from the project's folder, or give a path)"
        ),
    };
    Err(ConfigError::new(&path, format!("no such file{hint}")))
}

/// The names of the files in a folder, sorted.
pub fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let toml = entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "toml"));
    let mut names: Vec<String> = toml.map(|p| stem(&p)).collect();
    names.sort();
    names
}

/// A file's name without its last extension.
pub fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

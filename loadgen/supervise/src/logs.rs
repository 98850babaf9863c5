//! Logs of processes: written on at their end, and their last words, whatever bytes they are.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Context;

/// A log's end, shown when a process ends by itself.
const LINES: usize = 3;
const BYTES: u64 = 4_096;

/// A log, to be written on at its end.
pub(crate) fn open(path: &Path) -> anyhow::Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.with_context(|| format!("cannot write the log {}", path.display()))
}

/// The last lines of a log.
pub(crate) fn last_words(path: &Path) -> String {
    let text = end_of(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(LINES);
    if lines.is_empty() { "(its log is empty)".to_owned() } else { lines[from..].join(" | ") }
}

/// The last bytes of a file that may have grown without a bound.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

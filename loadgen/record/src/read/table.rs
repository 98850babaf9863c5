//! JSON and CSV files of a record, with errors that name file and line.

use std::io::{self, BufRead, ErrorKind, Read as _};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::broken::Broken;
use super::validate::Validate;
use crate::bounded;

/// The JSON file, or `None` if it does not exist.
pub fn json<T: DeserializeOwned + Validate>(path: &Path) -> Result<Option<T>, Broken> {
    let Some(bytes) = bytes(path)? else { return Ok(None) };
    let read: T = serde_json::from_slice(&bytes).map_err(|error| {
        let line = error.line().max(1) as u64;
        Broken::at(path).line(line).expected("the record's JSON").found(&error.to_string())
    })?;
    let unsound = |found: String| Broken::at(path).expected("the record's JSON").found(&found);
    read.check().map(|()| Some(read)).map_err(unsound)
}

/// The rows of the CSV file; none if it does not exist and may be absent.
pub fn rows<T: DeserializeOwned + Validate>(path: &Path, may_lack: bool) -> Result<Vec<T>, Broken> {
    let Some(bytes) = bytes(path)? else { return absent(path, may_lack) };
    ends(path, &bytes, may_lack)?;
    let mut rows = Vec::new();
    for (row, line) in bounded::rows(bytes.as_slice()).zip(2..) {
        let row: T = match row {
            Ok(row) => row,
            // A trial that was stopped may end within a row.
            Err(_) if may_lack && !bytes.ends_with(b"\n") => break,
            Err(error) => return Err(bad_row(path, &error)),
        };
        row.check().map_err(|found| {
            Broken::at(path).line(line).expected("a row of the record's table").found(&found)
        })?;
        rows.push(row);
    }
    Ok(rows)
}

/// The whole file, or `None` if it does not exist.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, Broken> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    Ok(Some(bytes))
}

/// The file from its beginning, or `None` if it does not exist.
pub(super) fn open(path: &Path) -> Result<Option<Box<dyn BufRead>>, Broken> {
    match bounded::opened(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Broken {
    let broken = Broken::at(path).expected("a readable file").found(&error.to_string());
    broken.remedy("check the file's permissions")
}

/// A file of lines that a full disk or a copy cut off is not whole: a cut header hides all rows.
fn ends(path: &Path, bytes: &[u8], may_lack: bool) -> Result<(), Broken> {
    if may_lack || bytes.is_empty() || bytes.ends_with(b"\n") {
        return Ok(());
    }
    Err(cut_off(path))
}

pub(super) fn cut_off(path: &Path) -> Broken {
    Broken::at(path).expected("a line end at its end").found("a file that was cut off")
}

/// No contents for a file that may be absent, an error for one that may not.
pub(super) fn absent<T: Default>(path: &Path, may_lack: bool) -> Result<T, Broken> {
    if may_lack {
        return Ok(T::default());
    }
    Err(Broken::at(path).expected("a file that every finished trial has").found("no such file"))
}

fn bad_row(path: &Path, error: &csv::Error) -> Broken {
    let line = error.position().map_or(1, csv::Position::line);
    Broken::at(path).line(line).expected("a row of the record's table").found(&error.to_string())
}

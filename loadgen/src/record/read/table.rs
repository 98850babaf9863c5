//! JSON and CSV files of a record, with errors that name file and line.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::Broken;

/// The JSON file, or `None` if it does not exist.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Broken> {
    let Some(bytes) = bytes(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let line = error.line().max(1) as u64;
        Broken::at(path).line(line).expected("the record's JSON").found(&error.to_string())
    })
}

/// The rows of the CSV file; none if it does not exist and may be absent.
pub(crate) fn rows<T: DeserializeOwned>(path: &Path, may_lack: bool) -> Result<Vec<T>, Broken> {
    let Some(bytes) = bytes(path)? else { return absent(path, may_lack) };
    ends(path, &bytes, may_lack)?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let mut rows = Vec::new();
    for row in reader.deserialize() {
        match row {
            Ok(row) => rows.push(row),
            // A trial that was stopped may end within a row.
            Err(_) if may_lack && !bytes.ends_with(b"\n") => break,
            Err(error) => return Err(bad_row(path, &error)),
        }
    }
    Ok(rows)
}

/// The whole file, or `None` if it does not exist.
pub(super) fn bytes(path: &Path) -> Result<Option<Vec<u8>>, Broken> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let broken = Broken::at(path).expected("a readable file").found(&error.to_string());
            Err(broken.remedy("check the file's permissions"))
        }
    }
}

/// A file of lines that a full disk or a copy cut off is not whole: a cut header hides all rows.
pub(super) fn ends(path: &Path, bytes: &[u8], may_lack: bool) -> Result<(), Broken> {
    if may_lack || bytes.is_empty() || bytes.ends_with(b"\n") {
        return Ok(());
    }
    Err(Broken::at(path).expected("a line end at its end").found("a file that was cut off"))
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

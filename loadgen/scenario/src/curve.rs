//! Arrivals from CSV files: an intensity profile, or a trace to be replayed.

use std::path::Path;

use csv::StringRecord;

use crate::config::ConfigError;

/// More arrivals would not fit a laptop's memory beside the systems.
const TRACE_MAX: usize = 50_000_000;
/// Instants are kept in nanoseconds; a load of more than a day is a mistake in the file.
const SECONDS_MAX: f64 = 86_400.0;

/// Corners of a rate curve: columns `second,rate`, seconds ascending from 0.
pub(super) fn intensity(path: &Path) -> Result<Vec<(f64, f64)>, ConfigError> {
    let corners = rows(path, &["second", "rate"], |fields| (fields[0], fields[1]))?;
    if corners.first().is_none_or(|(second, _)| *second != 0.0) || corners.len() < 2 {
        return Err(ConfigError::new(path, "expected two rows or more, the first at second 0"));
    }
    Ok(corners)
}

/// Instants in nanoseconds: column `second`, ascending.
pub(super) fn trace(path: &Path) -> Result<Vec<u64>, ConfigError> {
    let instants = rows(path, &["second"], |fields| (fields[0] * 1e9).round() as u64)?;
    if instants.is_empty() {
        return Err(ConfigError::new(path, "expected a row for each arrival; found none"));
    }
    Ok(instants)
}

fn rows<T>(
    path: &Path,
    columns: &[&str],
    row: impl Fn(&[f64]) -> T,
) -> Result<Vec<T>, ConfigError> {
    let mut reader = csv::Reader::from_path(path)
        .map_err(|e| ConfigError::new(path, format!("cannot be read: {e}")))?;
    let header = reader.headers().map_err(|e| ConfigError::new(path, e.to_string()))?.clone();
    if header.iter().map(str::trim).ne(columns.iter().copied()) {
        let found = header.iter().collect::<Vec<_>>().join(",");
        let text = format!("expected the header {}; found {found:?}", columns.join(","));
        return Err(ConfigError { path: path.to_owned(), line: Some(1), text });
    }
    let mut out = Vec::new();
    let mut last = 0.0;
    for record in reader.records() {
        let at = |line, text| ConfigError { path: path.to_owned(), line: Some(line), text };
        let record = record.map_err(|e| {
            let line = e.position().map_or(0, csv::Position::line);
            at(usize::try_from(line).unwrap_or(0), e.to_string())
        })?;
        let line = usize::try_from(record.position().map_or(0, csv::Position::line)).unwrap_or(0);
        let fields = numbers(&record).map_err(|text| at(line, text))?;
        if fields[0] < last || fields[0] > SECONDS_MAX {
            let text = format!("second {} is not between {last} and {SECONDS_MAX}", fields[0]);
            return Err(at(line, text));
        }
        if out.len() == TRACE_MAX {
            return Err(at(line, format!("more than {TRACE_MAX} rows")));
        }
        last = fields[0];
        out.push(row(&fields));
    }
    Ok(out)
}

fn numbers(record: &StringRecord) -> Result<Vec<f64>, String> {
    let number = |field: &str| {
        let found = field.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
        found.ok_or_else(|| format!("expected a number, 0 or more; found {field:?}"))
    };
    record.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with<T>(text: &[u8], read: impl Fn(&Path) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = with(text.as_bytes(), |p| intensity(p).unwrap_err().to_string());
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn files_are_read_or_refused_with_their_line() {
        let corners = with(b"second,rate\n0,10\n5.5,20\n", |p| intensity(p).unwrap());
        assert_eq!(corners, [(0.0, 10.0), (5.5, 20.0)]);
        let instants = with(b"second\n0.5\n0.5\n2\n", |p| trace(p).unwrap());
        assert_eq!(instants, [500_000_000, 500_000_000, 2_000_000_000]);
        check("time,rate\n0,1\n1,1\n", "c.csv:1: expected the header second,rate");
        check("second,rate\n0,1\n1,x\n", "c.csv:3: expected a number");
        check("second,rate\n0,1\n2,1\n1,1\n", "c.csv:4: second 1 is not between 2");
        check("second,rate\n0,1\n", "two rows or more");
        check("second,rate\n0,1,2\n", "c.csv:2");
        assert!(with(b"second\n", |p| trace(p).unwrap_err().to_string()).contains("found none"));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            for head in [&b""[..], b"second,rate\n", b"second\n"] {
                let text = [head, &tail].concat();
                with(&text, |p| { let _ = (intensity(p), trace(p)); });
            }
        }
    }
}

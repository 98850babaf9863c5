//! Seals of a record's tables: rows, bytes and SHA-256 as they were when the trial was over, so that a
//! table that is torn, altered or gone is not taken for what was measured. It knows no columns.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bounded;

/// What is a table, by the end of its name.
const TABLES: [&str; 3] = [".csv", PACKED, ".hlog"];
/// The end of the tables that the audit takes up without being told of them.
const PACKED: &str = ".csv.zst";
/// Far above the tables that a trial has: one per replica and a dozen more.
const TABLES_MAX: usize = 1_000;

/// One table as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Rows below the header; of a log, lines.
    pub rows: u64,
    /// The file's length.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// Seals by the tables' file names.
pub type Seals = BTreeMap<String, Seal>;

/// Seals every table of the trial in `folder`.
///
/// # Errors
/// If a table cannot be read back.
pub fn seal(folder: &Path) -> anyhow::Result<Seals> {
    let mut seals = Seals::new();
    for name in tables(folder)? {
        let path = folder.join(&name);
        let cannot = || format!("cannot seal {}", path.display());
        let (bytes, sha256) = digest(&path).with_context(cannot)?;
        seals.insert(name, Seal { rows: rows(&path).with_context(cannot)?, bytes, sha256 });
    }
    Ok(seals)
}

/// What is not as it was sealed: one sentence per table, which names it.
#[must_use]
pub fn broken(folder: &Path, seals: &Seals) -> Vec<String> {
    let mut broken: Vec<String> =
        seals.iter().filter_map(|(name, seal)| breach(folder, name, seal)).collect();
    match tables(folder) {
        Ok(found) => {
            // Whoever works with a record may leave tables of his own beside it.
            let ours = found.into_iter().filter(|name| name.ends_with(PACKED));
            let strange = ours.filter(|name| !seals.contains_key(name));
            broken.extend(strange.map(|name| format!("{name} is no table that the trial wrote")));
        }
        Err(error) => broken.push(format!("the tables cannot be listed: {error:#}")),
    }
    broken
}

/// What is wrong with one table, if it is sealed; none if all is well or there is no seal.
#[must_use]
pub fn breach_of(folder: &Path, name: &str, seals: Option<&Seals>) -> Option<String> {
    breach(folder, name, seals?.get(name)?)
}

fn breach(folder: &Path, name: &str, seal: &Seal) -> Option<String> {
    let Seal { rows, bytes, sha256 } = seal;
    match digest(&folder.join(name)) {
        Ok((_, found)) if found == *sha256 => None,
        Ok((found, _)) if found == *bytes => Some(format!(
            "{name} is not the table that the trial wrote: its {bytes} bytes have another SHA-256"
        )),
        Ok((found, _)) => Some(format!(
            "{name} is not the table that the trial wrote: {found} bytes instead of {bytes} ({rows} rows)"
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(format!("{name} is missing: the trial wrote it with {rows} rows"))
        }
        Err(error) => Some(format!("{name} cannot be read: {error}")),
    }
}

fn tables(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = std::fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // What begins with a dot was never finished.
        if TABLES.iter().any(|end| name.ends_with(end)) && !name.starts_with('.') {
            names.push(name);
        }
        anyhow::ensure!(names.len() <= TABLES_MAX, "more than {TABLES_MAX} tables");
    }
    names.sort();
    Ok(names)
}

/// The length and the hash of a file.
pub fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = bounded::opened(path)?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            let text = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((bytes, text));
        }
        bytes += count as u64;
        hash.update(&buffer[..count]);
    }
}

fn rows(path: &Path) -> anyhow::Result<u64> {
    let name = path.to_string_lossy();
    if name.ends_with(PACKED) {
        return csv_rows(bounded::unpacked(path)?);
    }
    let file = File::open(path)?;
    if name.ends_with(".csv") { csv_rows(file) } else { lines(file) }
}

fn csv_rows(source: impl Read) -> anyhow::Result<u64> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    let (mut rows, mut row) = (0, csv::ByteRecord::new());
    table.byte_headers()?;
    while table.read_byte_record(&mut row)? {
        rows += 1;
    }
    Ok(rows)
}

fn lines(file: File) -> anyhow::Result<u64> {
    let mut reader = BufReader::new(file);
    let mut lines = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(lines);
        }
        lines += buffer.iter().filter(|byte| **byte == b'\n').count() as u64;
        let count = buffer.len();
        reader.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three tables and what is none.
    fn trial() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text);
        write("faults.csv", b"kind,proof\nkill,\"a\nb\"\n").unwrap();
        write("orders.csv.zst", &zstd::encode_all(&b"key\na\nb\n"[..], 1).unwrap()).unwrap();
        write("latency.hlog", b"#x\n1,2\n").unwrap();
        write("manifest.json", b"{}").unwrap();
        write(".unfinished-dead.csv.zst", b"x").unwrap();
        folder
    }

    #[test]
    fn every_table_is_sealed_with_its_rows() {
        let folder = trial();
        let seals = seal(folder.path()).unwrap();
        let rows: Vec<_> = seals.iter().map(|(name, seal)| (name.as_str(), seal.rows)).collect();
        assert_eq!(rows, [("faults.csv", 1), ("latency.hlog", 2), ("orders.csv.zst", 2)]);
        // printf '#x\n1,2\n' | sha256sum
        let sum = "5ba9a627e28162ff520f7624da88c198c4e9f71e18ae81461607a251f5bdbb70";
        assert_eq!(seals["latency.hlog"].sha256, sum);
        assert_eq!(broken(folder.path(), &seals), [""; 0]);
    }

    #[track_caller]
    fn check(change: impl FnOnce(&Path), expected: &str) {
        let folder = trial();
        let seals = seal(folder.path()).unwrap();
        change(folder.path());
        let found = broken(folder.path(), &seals);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn what_is_torn_altered_gone_or_new_is_named() {
        let cut = |folder: &Path| {
            let path = folder.join("orders.csv.zst");
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() - 2]).unwrap();
        };
        check(cut, "orders.csv.zst is not the table that the trial wrote: ");
        check(|f| std::fs::write(f.join("faults.csv"), "").unwrap(), "0 bytes instead of 22");
        let same_length = |folder: &Path| {
            std::fs::write(folder.join("latency.hlog"), "#x\n1,3\n").unwrap();
        };
        check(same_length, "latency.hlog is not the table that the trial wrote: its 7 bytes");
        let gone = |f: &Path| std::fs::remove_file(f.join("orders.csv.zst")).unwrap();
        check(gone, "orders.csv.zst is missing: the trial wrote it with 2 rows");
        let new = |f: &Path| std::fs::write(f.join("dead.csv.zst"), "x").unwrap();
        check(new, "dead.csv.zst is no table that the trial wrote");
    }

    #[test]
    fn a_table_of_somebody_else_is_no_breach() {
        let folder = trial();
        let seals = seal(folder.path()).unwrap();
        std::fs::write(folder.path().join("notes.csv"), "a\n1\n").unwrap();
        assert_eq!(broken(folder.path(), &seals), [""; 0]);
    }
}

//! Compressed tables: written row by row, each stands in its place only when it is whole.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::{bounded, header};

/// Quick, and already a fifth of the size.
const LEVEL: i32 = 1;

type Packing = csv::Writer<zstd::Encoder<'static, BufWriter<File>>>;

/// A table that is being written; what is dropped before its end leaves nothing.
pub struct PackedTable<T> {
    path: PathBuf,
    unfinished: PathBuf,
    /// Until its end.
    table: Option<Packing>,
    rows: u64,
    of: PhantomData<T>,
}

impl<T: Serialize + Default> PackedTable<T> {
    /// Begins with the header, so that an empty table is told from a torn one.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = path.with_file_name(format!(".unfinished-{name}"));
        let file = File::create(&unfinished).with_context(cannot)?;
        let mut out = zstd::Encoder::new(BufWriter::new(file), LEVEL).with_context(cannot)?;
        out.write_all(&header::<T>().with_context(cannot)?).with_context(cannot)?;
        let table = csv::WriterBuilder::new().has_headers(false).from_writer(out);
        Ok(Self {
            path: path.to_path_buf(),
            unfinished,
            table: Some(table),
            rows: 0,
            of: PhantomData,
        })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// If it does not fit on the disk.
    pub fn put(&mut self, row: &T) -> anyhow::Result<()> {
        self.rows += 1;
        let path = &self.path;
        let written = self.table.as_mut().map_or(Ok(()), |table| table.serialize(row));
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Puts the table in its place; returns how many rows it has.
    ///
    /// # Errors
    /// As [`Self::put`]; then there is no table.
    pub fn end(mut self) -> anyhow::Result<u64> {
        let packed = self.table.take().map(|table| {
            let packed = table.into_inner().map_err(csv::IntoInnerError::into_error);
            packed.and_then(zstd::Encoder::finish).and_then(|mut file| file.flush())
        });
        let placed =
            packed.unwrap_or(Ok(())).and_then(|()| std::fs::rename(&self.unfinished, &self.path));
        placed.with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(self.rows)
    }
}

impl<T> Drop for PackedTable<T> {
    fn drop(&mut self) {
        // Of one that has its end nothing is left to be removed.
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

/// Rows of a compressed CSV table.
///
/// # Errors
/// If the file cannot be read; a line that does not fit is an error of the iterator.
pub fn read_table<T: serde::de::DeserializeOwned>(
    path: &Path,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<T>> + use<T>> {
    let reader =
        bounded::unpacked(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display().to_string();
    Ok(bounded::rows(reader).enumerate().map(move |(n, row)| {
        let found = |error: csv::Error| anyhow::Error::msg(bounded::message(&error.to_string()));
        row.map_err(found)
            .with_context(|| format!("{name}: line {} is not a row of this table", n + 2))
    }))
}

/// Writes a compressed CSV table.
///
/// # Errors
/// If the file cannot be written.
pub fn write_table<T: Serialize + Default>(path: &Path, rows: &[T]) -> anyhow::Result<()> {
    let mut table = PackedTable::begin(path)?;
    rows.iter().try_for_each(|row| table.put(row))?;
    table.end().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::DeadRow;

    #[test]
    fn it_is_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.csv.zst");
        let row = DeadRow { key: "k".to_owned(), ..DeadRow::default() };
        let mut table = PackedTable::begin(&path).unwrap();
        table.put(&row).unwrap();
        assert!(!path.exists());
        drop(table);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut table = PackedTable::begin(&path).unwrap();
        table.put(&row).unwrap();
        assert_eq!(table.end().unwrap(), 1);
        let rows: Vec<DeadRow> = read_table(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, [row]);
        assert_eq!(PackedTable::<DeadRow>::begin(&path).unwrap().end().unwrap(), 0);
        assert_eq!(read_table::<DeadRow>(&path).unwrap().count(), 0);
    }
}

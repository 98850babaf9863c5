//! Readers with bounds: rows that do not end and archives that swell are refused before they fill the
//! memory. They know no table.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use serde::de::DeserializeOwned;

/// Far above any row that we write: the longest hold a proof or an id that a system made up.
const ROW_BYTES_MAX: usize = 64 * 1024;
/// Our tables shrink to a fifth; a table of one repeated line would to a fiftieth.
const SWELLING_MAX: u64 = 250;
/// Small files may swell further: a header and a few equal lines.
const SMALL_BYTES: u64 = 1024 * 1024;
/// 8 MiB of window; the writer's level uses half a MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// A broken file can hold a word of any length: this much of a message is shown.
const MESSAGE_MAX: usize = 300;

/// What a reader says of a file, without all of the file in it.
pub(crate) fn message(text: &str) -> String {
    text.chars().take(MESSAGE_MAX).collect()
}

/// Rows of CSV, of which no single one may be longer than 64 KiB.
pub(crate) fn rows<T: DeserializeOwned, R: Read>(
    source: R,
) -> impl Iterator<Item = Result<T, csv::Error>> {
    let left = Rc::new(Cell::new(ROW_BYTES_MAX));
    let metered = Metered { source, left: Rc::clone(&left) };
    let mut reader = csv::Reader::from_reader(metered);
    // The iterator would take a header that cannot be read for a table without rows.
    let header = reader.byte_headers().err();
    let rows = if header.is_none() { Some(reader.into_deserialize()) } else { None };
    let rows = rows.into_iter().flatten().inspect(move |_| left.set(ROW_BYTES_MAX));
    header.into_iter().map(Err).chain(rows)
}

/// The contents of a zstd file, up to 250 times its size. A table without rows is a frame without
/// contents; a file without bytes is none.
pub(crate) fn unpacked(path: &Path) -> io::Result<impl Read + use<>> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes == 0 {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "it has no bytes"));
    }
    let most = SMALL_BYTES + bytes.saturating_mul(SWELLING_MAX);
    let mut decoder = zstd::Decoder::new(BufReader::new(file))?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(Swelling { source: decoder, left: most })
}

/// The contents of a file, or of the same file packed (`.zst`), as records have it that are kept for good.
pub(crate) fn opened(path: &Path) -> io::Result<Box<dyn BufRead>> {
    match File::open(path) {
        Ok(file) => Ok(Box::new(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let packed = crate::files::packed(path);
            let unpacked = if packed.is_file() { unpacked(&packed)? } else { return Err(error) };
            Ok(Box::new(BufReader::new(unpacked)))
        }
        Err(error) => Err(error),
    }
}

/// Reads until what may be read between two rows is used up.
struct Metered<R> {
    source: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        let count = self.source.read(buffer)?;
        if count > 0 && left == 0 {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("a row of more than {ROW_BYTES_MAX} bytes"),
            ));
        }
        self.left.set(left.saturating_sub(count));
        Ok(count)
    }
}

struct Swelling<R> {
    source: R,
    left: u64,
}

impl<R: Read> Read for Swelling<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let text = format!("it unpacks to more than {SWELLING_MAX} times its size");
            io::Error::new(ErrorKind::InvalidData, text)
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), zstd::encode_all(text, 1).unwrap()).unwrap();
        file
    }

    #[test]
    fn an_archive_that_swells_is_refused_and_an_ordinary_one_is_not() {
        let bomb = compressed(&vec![b'\n'; 64 << 20]);
        let mut sink = io::sink();
        let error = io::copy(&mut unpacked(bomb.path()).unwrap(), &mut sink).unwrap_err();
        assert!(error.to_string().contains("250 times its size"), "{error}");
        let lines: String =
            (0..200_000).map(|n| format!("{n},request,0,{}\n", n * 7_919)).collect();
        let table = compressed(lines.as_bytes());
        let read = io::copy(&mut unpacked(table.path()).unwrap(), &mut sink).unwrap();
        assert_eq!(read as usize, lines.len());
    }

    #[test]
    fn an_archive_that_is_cut_off_is_no_table_without_rows() {
        let whole = compressed(b"a,b\n1,x\n2,y\n");
        let bytes = std::fs::read(whole.path()).unwrap();
        let rows_of = |bytes: &[u8]| -> anyhow::Result<Vec<(u32, String)>> {
            let file = tempfile::NamedTempFile::new()?;
            std::fs::write(file.path(), bytes)?;
            Ok(rows(unpacked(file.path())?).collect::<Result<_, _>>()?)
        };
        assert_eq!(rows_of(&bytes).unwrap().len(), 2);
        for end in 0..bytes.len() {
            let found = rows_of(&bytes[..end]);
            assert!(found.is_err(), "{end} of {} bytes: {found:?}", bytes.len());
        }
        assert_eq!(rows_of(&zstd::encode_all(&b""[..], 1).unwrap()).unwrap(), []);
    }

    #[test]
    fn a_row_that_does_not_end_is_refused_and_many_short_ones_are_not() {
        let long = format!("a,b\n1,\"{}", "x\n".repeat(1 << 20));
        let rows_of = |text: String| -> Result<Vec<(u32, String)>, csv::Error> {
            rows(io::Cursor::new(text)).collect()
        };
        let error = rows_of(long).unwrap_err().to_string();
        assert!(error.contains("a row of more than 65536 bytes"), "{error}");
        let many = format!("a,b\n{}", "1,xyz\n".repeat(100_000));
        assert_eq!(rows_of(many).unwrap().len(), 100_000);
    }
}

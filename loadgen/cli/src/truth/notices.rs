//! Waits until the customers of all orders were notified, as far as the card network's journal tells, which
//! is read while it is written. It judges nothing.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use tokio::time::sleep;

use record::ledger;
use supervise::asking::Patience;

const POLL: Duration = Duration::from_millis(250);
/// Far above any line.
const LINE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Line {
    event: String,
    key: String,
}

/// Returns whether all were notified before this patience ended.
///
/// # Errors
/// If the table of orders or the journal cannot be read.
pub(super) async fn arrive(
    folder: &Path,
    journal: &Path,
    patience: &Patience,
) -> anyhow::Result<bool> {
    let orders = ledger::orders(folder, 1)?.map(|row| row.map(|row| row.key));
    let mut missing = orders.collect::<anyhow::Result<HashSet<String>>>()?;
    let cannot = || format!("cannot read the provider's journal {}", journal.display());
    let mut journal = BufReader::new(File::open(journal).with_context(cannot)?);
    loop {
        read_on(&mut journal, &mut missing).with_context(cannot)?;
        if missing.is_empty() {
            return Ok(true);
        }
        if patience.bear(sleep(POLL)).await.is_none() {
            return Ok(false);
        }
    }
}

/// Crosses out whoever is told of in the whole lines that were added.
fn read_on(
    journal: &mut (impl BufRead + Seek),
    missing: &mut HashSet<String>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        journal.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
        if !bytes.ends_with(b"\n") && (bytes.len() as u64) < LINE_BYTES_MAX {
            // Its end is still to come.
            let back = i64::try_from(bytes.len()).unwrap_or(0);
            return journal.seek(SeekFrom::Current(-back)).map(drop);
        }
        if let Ok(Line { event, key }) = serde_json::from_slice(&bytes)
            && event.starts_with("notified-")
        {
            missing.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_torn_line_is_read_when_its_end_has_come() {
        let line = |event: &str, key: &str| {
            format!("{{\"n\":1,\"event\":\"{event}\",\"key\":\"{key}\"}}\n")
        };
        let text = line("captured", "a") + &line("notified-paid", "b") + "nonsense\n";
        let text = text + &line("notified-declined", "c");
        let mut missing: HashSet<String> = ["a", "b", "c"].map(str::to_owned).into();
        let (all, torn) = (text.len(), text.len() - 9);
        let mut journal = Cursor::new(text.into_bytes());
        let rest = journal.get_mut().split_off(torn);
        read_on(&mut journal, &mut missing).unwrap();
        assert_eq!(missing, ["a", "c"].map(str::to_owned).into());
        journal.get_mut().extend(rest);
        read_on(&mut journal, &mut missing).unwrap();
        assert_eq!((missing, journal.position()), (["a".to_owned()].into(), all as u64));
    }
}

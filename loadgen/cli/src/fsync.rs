//! What a durable write costs here: it moves by a factor of forty with the disk's other traffic.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use tokio::time::Instant;

const APPENDS: usize = 60;
const BYTES: usize = 4096;

/// Median and 99th percentile of a 4 KiB append with fdatasync in this folder, µs.
///
/// # Errors
/// If the folder cannot be written.
pub(crate) fn probe(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let path = folder.join("fsync-probe");
    let measured = append(&path).with_context(|| format!("cannot write {}", path.display()));
    let _ = std::fs::remove_file(&path);
    let mut times = measured?;
    times.sort_unstable();
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

fn append(path: &Path) -> std::io::Result<Vec<u64>> {
    let mut file = File::create(path)?;
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let begun = Instant::now();
        file.write_all(&[0x5a; BYTES])?;
        file.sync_data()?;
        times.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(times)
}

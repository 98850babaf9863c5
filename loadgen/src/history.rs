//! `history.csv.zst`: one line per attempt, written while the load runs and read by everything after.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::abort::Lookout;
use crate::attack::ShopTraffic;
use crate::bounded;
use crate::packed_table::PackedTable;
use crate::record::{Aborted, Attempts, RequestCounts, latency};
use crate::requests::{Ended, Requests};
use crate::sample::{Outcome, Sample, Trouble};
use crate::workload::Operation;

/// The file's name in a trial's folder.
pub const FILE: &str = "history.csv.zst";
const HEADER: &str = "seq,key,operation,customer,amount_cents,intended_ns,sent_ns,done_ns,outcome,status,trouble,receipt,about,order,amount,try,again\n";
/// Quick, and already a fifth of the size.
const LEVEL: i32 = 1;

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its place in the schedule.
    pub seq: u64,
    /// The idempotency key (place), else empty.
    pub key: String,
    /// What was asked.
    pub operation: String,
    /// By whom.
    pub customer: u32,
    /// The order's sum, cents (place).
    pub amount_cents: i64,
    /// When it should start, ns since second 0.
    pub intended_ns: u64,
    /// When the generator began to send it.
    pub sent_ns: u64,
    /// When its answer was complete, or it was given up.
    pub done_ns: u64,
    /// ok, failed, unknown, dropped, unfinished.
    pub outcome: String,
    /// The HTTP status; 0 without an answer.
    pub status: u16,
    /// Why there is no answer; empty if there is.
    pub trouble: String,
    /// What the answer said of the order: pending, paid, declined; empty if it did not.
    pub receipt: String,
    /// The key of the order that was looked up (get), else empty; not in records of format 1.
    #[serde(default)]
    pub about: String,
    /// The id of the order that the answer told of; empty if it told of none, and in older records.
    #[serde(default)]
    pub order: String,
    /// The sum that it told, cents; empty if it told none, and in older records.
    #[serde(default)]
    pub amount: Option<i64>,
    /// 0 for the first attempt, n for the n-th retry of the same request; 0 in older records.
    #[serde(default, rename = "try")]
    pub retry: u8,
    /// Whether another attempt of the same request was to follow; false in older records.
    #[serde(default)]
    pub again: bool,
}

/// Where a history goes, and what is looked out for meanwhile.
pub struct Recording {
    /// The trial's folder.
    pub folder: PathBuf,
    /// What idempotency keys begin with.
    pub key_prefix: String,
    /// Ends the load early.
    pub lookout: Lookout,
}

impl From<(PathBuf, String)> for Recording {
    /// A load that nothing ends early.
    fn from((folder, key_prefix): (PathBuf, String)) -> Self {
        Self { folder, key_prefix, lookout: Lookout::default() }
    }
}

/// What the recorder counted while it wrote.
pub struct Totals {
    /// Requests by operation, however many attempts they took; `scheduled` is not known here.
    pub counts: BTreeMap<Operation, RequestCounts>,
    /// Attempts by what became of them, in the order in which each was first met.
    pub attempts: Vec<(Kind, u64)>,
    /// Sent minus intended, µs, of all requests that were sent.
    pub lag: Histogram<u64>,
    /// Sum of done minus sent of all requests that were sent, s.
    pub service_s: f64,
    /// The first condition that held.
    pub aborted: Option<Aborted>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// What was asked.
    pub operation: Operation,
    /// What became of it.
    pub outcome: Outcome,
    /// The HTTP status; 0 without an answer.
    pub status: u16,
    /// Why there was no answer, or none that was understood.
    pub trouble: Trouble,
}

/// Writes batches of samples until the sender is gone; sets `stop` when a condition holds.
///
/// # Errors
/// If the file cannot be written.
pub fn write(
    mut recording: Recording,
    samples: &Receiver<Vec<Sample>>,
    stop: &AtomicBool,
) -> anyhow::Result<Totals> {
    let path = recording.folder.join(FILE);
    record(&path, &mut recording, samples, stop)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn record(
    path: &Path,
    recording: &mut Recording,
    samples: &Receiver<Vec<Sample>>,
    stop: &AtomicBool,
) -> anyhow::Result<Totals> {
    let Recording { key_prefix, lookout, .. } = recording;
    let file = File::create(path)?;
    let mut out = zstd::Encoder::new(BufWriter::new(file), LEVEL)?;
    out.write_all(HEADER.as_bytes())?;
    let (mut totals, mut requests) = (Totals::new()?, Requests::default());
    let mut text = Vec::with_capacity(64 * 1024);
    while let Ok(batch) = samples.recv() {
        text.clear();
        for sample in &batch {
            let ended = requests.add(sample.into());
            totals.add(sample, ended);
            lookout.add(sample, ended);
            write_line(&mut text, key_prefix, sample)?;
        }
        if lookout.aborted().is_some() {
            stop.store(true, Ordering::Relaxed);
        }
        out.write_all(&text)?;
    }
    totals.aborted = lookout.aborted().cloned();
    // Only orders are asked for again.
    requests.rest().iter().for_each(|(_, ended)| totals.count(Operation::Place, *ended));
    out.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_data()?;
    Ok(totals)
}

impl Totals {
    fn new() -> anyhow::Result<Self> {
        let lag = latency::histogram()?;
        Ok(Self {
            counts: BTreeMap::new(),
            attempts: Vec::new(),
            lag,
            service_s: 0.0,
            aborted: None,
        })
    }

    /// The attempts as the manifest lists them.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempts> {
        let mut sorted = self.attempts.clone();
        sorted.sort_unstable();
        let row = |(kind, count): (Kind, u64)| Attempts {
            operation: kind.operation.as_str().to_owned(),
            outcome: kind.outcome.as_str().to_owned(),
            status: kind.status,
            trouble: kind.trouble.as_str().to_owned(),
            count,
        };
        sorted.into_iter().map(row).collect()
    }

    fn count(&mut self, operation: Operation, ended: Ended) {
        let counts = self.counts.entry(operation).or_default();
        match ended.outcome {
            Outcome::Ok => counts.ok += 1,
            Outcome::Failed => counts.failed += 1,
            Outcome::Unknown => counts.unknown += 1,
            Outcome::Dropped => counts.dropped += 1,
            Outcome::Unfinished => counts.unfinished += 1,
        }
    }

    fn add(&mut self, sample: &Sample, ended: Option<Ended>) {
        let Sample { operation, outcome, status, trouble, .. } = *sample;
        let kind = Kind { operation, outcome, status, trouble };
        match self.attempts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.attempts.push((kind, 1)),
        }
        if let Some(ended) = ended {
            self.count(operation, ended);
        }
        if sample.outcome != Outcome::Dropped {
            self.service_s += sample.done_ns.saturating_sub(sample.sent_ns) as f64 / 1e9;
            let lag_us = sample.sent_ns.saturating_sub(sample.intended_ns) / 1_000;
            self.lag.saturating_record(lag_us.max(1));
        }
    }
}

fn write_line(out: &mut Vec<u8>, prefix: &str, s: &Sample) -> std::io::Result<()> {
    let key = match s.operation {
        Operation::Place => ShopTraffic::key(prefix, s.seq),
        _ => String::new(),
    };
    let about = s.about.map_or_else(String::new, |order| order.key(prefix, s.customer));
    write!(
        out,
        "{},{key},{},{},{},{},{},{},{},{},{},{},{about},",
        s.seq,
        s.operation.as_str(),
        s.customer,
        if key.is_empty() { 0 } else { s.amount_cents },
        s.intended_ns,
        s.sent_ns,
        s.done_ns,
        s.outcome.as_str(),
        s.status,
        s.trouble.as_str(),
        s.receipt.as_str()
    )?;
    if let Some(told) = &s.told {
        write_field(out, &told.order)?;
    }
    match s.told.as_ref().and_then(|told| told.amount_cents) {
        Some(cents) => writeln!(out, ",{cents},{},{}", s.retry, s.again),
        None => writeln!(out, ",,{},{}", s.retry, s.again),
    }
}

/// A contestant's text, quoted where a table needs it (RFC 4180).
fn write_field(out: &mut Vec<u8>, text: &str) -> std::io::Result<()> {
    if text.contains(['"', ',', '\r', '\n']) {
        return write!(out, "\"{}\"", text.replace('"', "\"\""));
    }
    out.write_all(text.as_bytes())
}

/// Reads a history, line by line.
///
/// # Errors
/// If the file is missing; a line that does not fit is an error of the iterator.
pub fn read(folder: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Attempt>>> {
    read_table(&folder.join(FILE))
}

/// Rows of a compressed CSV table.
pub(crate) fn read_table<T: serde::de::DeserializeOwned>(
    path: &Path,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<T>> + use<T>> {
    let reader =
        bounded::unpacked(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display().to_string();
    Ok(bounded::rows(reader).enumerate().map(move |(n, row)| {
        row.with_context(|| format!("{name}: line {} is not a row of this table", n + 2))
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
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::sample::{Receipt, Told};

    fn sample(order: &str, amount_cents: Option<i64>) -> Sample {
        Sample {
            seq: 7,
            operation: Operation::Place,
            customer: 3,
            amount_cents: 500,
            intended_ns: 1,
            sent_ns: 2,
            done_ns: 3,
            outcome: Outcome::Ok,
            status: 201,
            trouble: Trouble::None,
            receipt: Receipt::Paid,
            about: None,
            told: Some(Told { order: order.into(), amount_cents }),
            retry: 1,
            again: true,
        }
    }

    fn read_back(samples: Vec<Sample>) -> Vec<Attempt> {
        let folder = tempfile::tempdir().unwrap();
        let (send, samples_of) = sync_channel(1);
        send.send(samples).unwrap();
        drop(send);
        let recording = (folder.path().to_owned(), "1".to_owned()).into();
        write(recording, &samples_of, &AtomicBool::new(false)).unwrap();
        read(folder.path()).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_an_answer_told_comes_back_whatever_is_in_it() {
        let ids = ["o1", "a,b", "\"", "a\r\nb\"\"c", "ü ", ""];
        let attempts = read_back(ids.iter().map(|id| sample(id, Some(-5))).collect());
        assert!(attempts.iter().map(|a| a.order.as_str()).eq(ids), "{attempts:?}");
        let rest = |a: &Attempt| (a.amount, a.retry, a.again, a.key.clone());
        assert!(attempts.iter().all(|a| rest(a) == (Some(-5), 1, true, "1-00000007".to_owned())));
    }

    #[test]
    fn what_was_not_told_is_empty() {
        let silent = Sample { told: None, retry: 0, again: false, ..sample("", None) };
        let attempts = read_back(vec![silent, sample("o", None)]);
        assert_eq!((attempts[0].order.as_str(), attempts[0].amount), ("", None));
        assert_eq!((attempts[1].order.as_str(), attempts[1].amount), ("o", None));
    }

    #[test]
    fn an_older_history_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let old = "seq,key,operation,customer,amount_cents,intended_ns,sent_ns,done_ns,outcome,status,trouble,receipt,about\n\
                   7,1-00000007,place,3,500,1,2,3,ok,201,,paid,\n";
        let packed = zstd::encode_all(old.as_bytes(), LEVEL).unwrap();
        std::fs::write(folder.path().join(FILE), packed).unwrap();
        let attempts: Vec<Attempt> = read(folder.path()).unwrap().map(Result::unwrap).collect();
        let expected = Attempt { amount: None, retry: 0, again: false, ..attempts[0].clone() };
        assert_eq!(attempts, [expected]);
        assert_eq!((attempts[0].status, attempts[0].order.as_str()), (201, ""));
    }
}

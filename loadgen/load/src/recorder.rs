//! Writes the history while the load runs, and counts what it writes. It judges nothing but whether a
//! condition of the scenario holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use anyhow::Context;
use hdrhistogram::Histogram;

use crate::abort::Lookout;
use crate::live::Live;
use record::files;
use record::requests::{Ended, Requests};
use record::{
    Aborted, Attempts, Known, Operation, Outcome, RequestCounts, Sample, Trouble, latency,
};

const HEADER: &str = "seq,key,operation,customer,amount_cents,intended_ns,sent_ns,done_ns,outcome,status,trouble,receipt,about,order,amount,try,again,waited\n";
/// Quick, and already a fifth of the size.
const LEVEL: i32 = 1;

/// Where a history goes, and what is looked out for meanwhile.
pub struct Recording {
    /// The trial's folder.
    pub folder: PathBuf,
    /// What idempotency keys begin with.
    pub key_prefix: String,
    /// Ends the load early.
    pub lookout: Lookout,
    /// Shows the load while it runs, if anybody may look.
    pub live: Option<Live>,
}

impl From<(PathBuf, String)> for Recording {
    /// A load that nothing ends early.
    fn from((folder, key_prefix): (PathBuf, String)) -> Self {
        Self { folder, key_prefix, lookout: Lookout::default(), live: None }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    let path = recording.folder.join(files::HISTORY);
    record(&path, &mut recording, samples, stop)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn record(
    path: &Path,
    recording: &mut Recording,
    samples: &Receiver<Vec<Sample>>,
    stop: &AtomicBool,
) -> anyhow::Result<Totals> {
    let Recording { key_prefix, lookout, live, .. } = recording;
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
        if let Some(live) = live {
            live.add(&batch);
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
        // In the order in which the words are declared: accounts first, then from good to bad.
        sorted.sort_unstable_by_key(|(kind, _)| {
            let Kind { operation, outcome, status, trouble } = *kind;
            (operation as u8, outcome as u8, status, trouble as u8)
        });
        let row = |(kind, count): (Kind, u64)| {
            let Kind { operation, outcome, status, trouble } = kind;
            Attempts { operation, outcome, status, trouble, count }
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
    let is_order = s.operation == Operation::Place;
    let key = if is_order { Known::Placed(s.seq).key(prefix, s.customer) } else { String::new() };
    let about = s.about.map_or_else(String::new, |order| order.key(prefix, s.customer));
    write!(
        out,
        "{},{key},{},{},{},{},{},{},{},{},{},{},{about},",
        s.seq,
        s.operation.as_str(),
        s.customer,
        if is_order { s.amount_cents } else { 0 },
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
        Some(cents) => write!(out, ",{cents}")?,
        None => out.push(b','),
    }
    writeln!(out, ",{},{},{}", s.retry, s.again, s.waited_ns)
}

/// A contestant's text, quoted where a table needs it (RFC 4180).
fn write_field(out: &mut Vec<u8>, text: &str) -> std::io::Result<()> {
    if text.contains(['"', ',', '\r', '\n']) {
        return write!(out, "\"{}\"", text.replace('"', "\"\""));
    }
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use record::history::read;
    use record::{Attempt, Receipt, Told};

    fn sample(order: &str, amount_cents: Option<i64>) -> Sample {
        Sample {
            seq: 7,
            operation: Operation::Place,
            customer: 3,
            amount_cents: 500,
            intended_ns: 1,
            sent_ns: 2,
            done_ns: 3,
            waited_ns: 1,
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
        std::fs::write(folder.path().join(files::HISTORY), packed).unwrap();
        let attempts: Vec<Attempt> = read(folder.path()).unwrap().map(Result::unwrap).collect();
        let expected = Attempt { amount: None, retry: 0, again: false, ..attempts[0].clone() };
        assert_eq!(attempts, [expected]);
        assert_eq!((attempts[0].status, attempts[0].order.as_str()), (201, ""));
    }
}

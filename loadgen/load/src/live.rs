//! What a load shows of itself while it runs: a line of JSON for each second in which something ended, for whoever looks
//! meanwhile. It is no part of the record, and what cannot be written is left out.

use std::fs::{File, remove_file};
use std::io::Write;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::json;

use record::{Operation, Outcome, Sample, files};

/// Two digits: it is looked at, not measured by.
const DIGITS: u8 = 2;
/// A longer time is shown as this one.
const LONGEST_US: u64 = 600_000_000;

/// The file, and what has ended since its last line.
pub struct Live {
    path: PathBuf,
    file: Option<File>,
    second: u64,
    /// As [`Outcome::ALL`], attempts of the main operation and of all others.
    main: [u64; Outcome::ALL.len()],
    others: [u64; Outcome::ALL.len()],
    /// Response times of ok answers of the main operation, µs.
    times: Histogram<u64>,
}

impl Live {
    /// Begins with what is to come: the file's first line.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn begin(folder: &Path, plan: &impl Serialize) -> anyhow::Result<Self> {
        let path = folder.join(files::LIVE);
        let mut file = File::create(&path)?;
        file.write_all(format!("{}\n", serde_json::to_string(plan)?).as_bytes())?;
        let times = Histogram::new_with_max(LONGEST_US, DIGITS)?;
        let none = [0; Outcome::ALL.len()];
        Ok(Self { path, file: Some(file), second: 0, main: none, others: none, times })
    }

    /// Takes what has ended; writes a line if a second is over.
    pub(crate) fn add(&mut self, batch: &[Sample]) {
        let latest = batch.iter().map(|sample| sample.done_ns / 1_000_000_000).max();
        for sample in batch {
            self.count(sample);
        }
        if latest.is_some_and(|latest| latest > self.second) {
            self.write();
            self.second = latest.unwrap_or_default();
        }
    }

    fn count(&mut self, sample: &Sample) {
        let place = Outcome::ALL.iter().position(|outcome| *outcome == sample.outcome);
        let Some(place) = place else { return };
        if !matches!(sample.operation, Operation::Place | Operation::Request) {
            self.others[place] += 1;
            return;
        }
        self.main[place] += 1;
        if sample.outcome == Outcome::Ok {
            let us = sample.done_ns.saturating_sub(sample.intended_ns) / 1_000;
            self.times.saturating_record(us.clamp(1, LONGEST_US));
        }
    }

    fn write(&mut self) {
        let ms = |q: f64| {
            let some = !self.times.is_empty();
            some.then(|| self.times.value_at_quantile(q) as f64 / 1e3)
        };
        let named = |counts: &[u64]| {
            let named = Outcome::ALL.iter().zip(counts).map(|(o, n)| (o.as_str().to_owned(), *n));
            named.collect::<std::collections::BTreeMap<_, _>>()
        };
        let line = json!({
            "t": self.second,
            "main": named(&self.main),
            "others": named(&self.others),
            "p50_ms": ms(0.5),
            "p99_ms": ms(0.99),
        });
        let text = format!("{line}\n");
        if self.file.as_mut().is_some_and(|file| file.write_all(text.as_bytes()).is_err()) {
            self.file = None;
        }
        (self.main, self.others) = ([0; Outcome::ALL.len()], [0; Outcome::ALL.len()]);
        self.times.reset();
    }
}

impl Drop for Live {
    /// Whoever wants to know of a finished load reads its record.
    fn drop(&mut self) {
        // It may be gone with its folder.
        let _ = remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(operation: Operation, outcome: Outcome, done_ms: u64) -> Sample {
        Sample {
            seq: 0,
            operation,
            customer: 0,
            amount_cents: 0,
            intended_ns: done_ms.saturating_sub(20) * 1_000_000,
            sent_ns: 0,
            done_ns: done_ms * 1_000_000,
            waited_ns: 0,
            outcome,
            status: 0,
            trouble: record::Trouble::None,
            receipt: record::Receipt::None,
            about: None,
            told: None,
            retry: 0,
            again: false,
        }
    }

    #[test]
    fn a_second_is_a_line_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut live = Live::begin(folder.path(), &json!({"scenario": "s"})).unwrap();
        let read = || std::fs::read_to_string(folder.path().join(files::LIVE)).unwrap();
        live.add(&[sample(Operation::Place, Outcome::Ok, 100)]);
        live.add(&[sample(Operation::Get, Outcome::Failed, 900)]);
        assert_eq!(read().lines().count(), 1, "the second is not over");
        live.add(&[sample(Operation::Place, Outcome::Unknown, 1_010)]);
        let text = read();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, r#"{"scenario":"s"}"#));
        let line: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
        assert_eq!((line["t"].as_u64(), line["main"]["ok"].as_u64()), (Some(0), Some(1)));
        assert_eq!(line["others"]["failed"], 1);
        let p50 = line["p50_ms"].as_f64().unwrap();
        assert!((19.5..20.5).contains(&p50), "{p50}");
        drop(live);
        assert!(!folder.path().join(files::LIVE).exists());
    }
}

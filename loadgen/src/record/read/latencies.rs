//! `latency.hlog` merged by phase and tag. Intervals outside every phase (warm-up) are left out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, LogEntry,
};

use super::{Broken, Spectrum, table};
use crate::record::Phase;
use crate::record::latency::{Metric, Tag, histogram};

/// Times by phase (its index in the manifest) and tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    spectra: BTreeMap<(usize, Tag), Spectrum>,
}

impl Latencies {
    /// Reads the log and keeps what lies in `phases`; a partial one may end within a line or lack.
    pub(super) fn read(path: &Path, phases: &[Phase], partial: bool) -> Result<Self, Broken> {
        let Some(bytes) = table::bytes(path)? else { return table::absent(path, partial) };
        table::ends(path, &bytes, partial)?;
        let mut merge =
            Merge { phases, merged: BTreeMap::new(), deserializer: Deserializer::new() };
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').zip(1..).peekable();
        while let Some((line, number)) = lines.next() {
            match merge.line(line) {
                Ok(()) => {}
                Err(_) if partial && lines.peek().is_none() => {}
                Err(found) => return Err(bad_line(path, number, &found)),
            }
        }
        Ok(merge.finish())
    }

    /// The times of `operation` in `phase` whose outcome is wanted, merged.
    #[must_use]
    pub fn times(
        &self,
        phase: usize,
        operation: &str,
        metric: Metric,
        wanted: impl Fn(&str) -> bool,
    ) -> Spectrum {
        self.spectra
            .iter()
            .filter(|((at, tag), _)| {
                *at == phase
                    && tag.operation == operation
                    && tag.metric == metric
                    && wanted(&tag.outcome)
            })
            .fold(Spectrum::default(), |sum, (_, part)| sum.merged(part))
    }
}

struct Merge<'a> {
    phases: &'a [Phase],
    merged: BTreeMap<(usize, Tag), Histogram<u64>>,
    deserializer: Deserializer,
}

impl Merge<'_> {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        // The legend is quoted; comments, StartTime and BaseTime begin with a hash.
        if line.trim_ascii().is_empty() || line.starts_with(b"\"") || line.starts_with(b"#") {
            return Ok(());
        }
        for entry in IntervalLogIterator::new(line) {
            match entry {
                Ok(LogEntry::Interval(interval)) => self.interval(&interval)?,
                Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_)) => {}
                Err(_) => return Err(excerpt(line)),
            }
        }
        Ok(())
    }

    fn interval(&mut self, interval: &IntervalLogHistogram<'_>) -> Result<(), String> {
        let at_s = interval.start_timestamp().as_secs_f64();
        let inside =
            |phase: &Phase| f64::from(phase.from_s) <= at_s && at_s < f64::from(phase.to_s);
        let tag = interval.tag().ok_or("an interval without a tag")?;
        let tag: Tag = tag.as_str().parse().map_err(|error: anyhow::Error| error.to_string())?;
        let Some(phase) = self.phases.iter().position(inside) else { return Ok(()) };
        let compressed = base64(interval.encoded_histogram()).ok_or("a histogram not in base64")?;
        let part: Histogram<u64> = self
            .deserializer
            .deserialize(&mut compressed.as_slice())
            .map_err(|error| format!("a histogram that does not unpack ({error})"))?;
        let sum = match self.merged.entry((phase, tag)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(histogram().map_err(|error| error.to_string())?),
        };
        sum.add(part).map_err(|error| format!("a value out of range ({error})"))
    }

    fn finish(self) -> Latencies {
        let spectra = self.merged.into_iter().map(|(key, sum)| (key, Spectrum::of(&sum))).collect();
        Latencies { spectra }
    }
}

fn bad_line(path: &Path, line: u64, found: &str) -> Broken {
    let expected = "an interval Tag=operation.outcome.metric,start,length,max,histogram";
    Broken::at(path).line(line).expected(expected).found(found)
}

fn excerpt(line: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(line).chars().take(60).collect();
    format!("{text:?}")
}

/// Decodes base64 with or without padding; `None` if it is none.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for letter in group {
            bits = bits << 6 | u32::from(sextet(*letter)?);
        }
        bits <<= 6 * (4 - group.len());
        let whole = group.len() * 6 / 8;
        bytes.extend_from_slice(bits.to_be_bytes().get(1..=whole)?);
    }
    Some(bytes)
}

fn sextet(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

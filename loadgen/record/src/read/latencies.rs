//! `latency.hlog` merged by phase and tag. Intervals outside every phase (warm-up) are left out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, BufRead as _, Read as _};
use std::path::Path;

use hdrhistogram::Histogram;

use super::{Broken, Spectrum, packed, table};
use crate::Phase;
use crate::latency::{Metric, Tag, histogram};

/// The base64 of the largest histogram that is unpacked.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Phases by operations, outcomes and metrics; each has a table of 190 KB.
const SERIES_MAX: usize = 1_000;

/// Times by phase (its index in the manifest) and tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    spectra: BTreeMap<(usize, Tag), Spectrum>,
}

impl Latencies {
    /// Reads the log and keeps what lies in `phases`; a partial one may end within a line or lack.
    ///
    /// # Errors
    /// If it cannot be read, or a line of it is none of such a log; the line is named.
    pub fn read(path: &Path, phases: &[Phase], partial: bool) -> Result<Self, Broken> {
        let Some(mut file) = table::open(path)? else { return table::absent(path, partial) };
        let mut merge = Merge { phases, merged: BTreeMap::new() };
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let unreadable = |error: io::Error| bad_line(path, number, &error.to_string());
            let most = LINE_BYTES_MAX as u64;
            let read = file.by_ref().take(most).read_until(b'\n', &mut line).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            let last = file.fill_buf().map_err(unreadable)?.is_empty();
            if !partial && last && !line.ends_with(b"\n") {
                return Err(table::cut_off(path));
            }
            match merge.line(&line) {
                Ok(()) => {}
                Err(_) if partial && last => {}
                Err(found) => return Err(bad_line(path, number, &found)),
            }
        }
        Ok(merge.finish())
    }

    /// Invented times, µs, of `place` in the first phase, by outcome and metric.
    #[cfg(any(test, feature = "invented"))]
    #[expect(clippy::unwrap_used, reason = "for tests alone")]
    #[must_use]
    pub fn of_places(times: &[(&str, Metric, std::ops::RangeInclusive<u64>)]) -> Self {
        let spectrum = |range: &std::ops::RangeInclusive<u64>| {
            let mut all = histogram().unwrap();
            range.clone().for_each(|us| all.record(us).unwrap());
            Spectrum::of(&all)
        };
        let tag = |outcome: &str, metric| {
            let (operation, outcome) = ("place".to_owned(), outcome.to_owned());
            (0, Tag { operation, outcome, metric })
        };
        let times = times.iter();
        let spectra = times.map(|(outcome, metric, us)| (tag(outcome, *metric), spectrum(us)));
        Self { spectra: spectra.collect() }
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
}

impl Merge<'_> {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if line.len() >= LINE_BYTES_MAX {
            return Err(format!("a line of {LINE_BYTES_MAX} bytes or more"));
        }
        // The legend is quoted; comments, StartTime and BaseTime begin with a hash.
        if line.trim_ascii().is_empty() || line.starts_with(b"\"") || line.starts_with(b"#") {
            return Ok(());
        }
        let text = std::str::from_utf8(line).map_err(|_| excerpt(line))?;
        let interval = Interval::parse(text.trim_ascii()).ok_or_else(|| excerpt(line))?;
        self.interval(&interval)
    }

    fn interval(&mut self, interval: &Interval<'_>) -> Result<(), String> {
        let inside = |phase: &Phase| {
            f64::from(phase.from_s) <= interval.at_s && interval.at_s < f64::from(phase.to_s)
        };
        let tag = interval.tag.ok_or("an interval without a tag")?;
        let tag: Tag = tag.parse().map_err(|error: anyhow::Error| error.to_string())?;
        let Some(phase) = self.phases.iter().position(inside) else { return Ok(()) };
        let series = self.merged.len();
        let sum = match self.merged.entry((phase, tag)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if series == SERIES_MAX => {
                return Err(format!("more than {SERIES_MAX} kinds of interval"));
            }
            Entry::Vacant(entry) => entry.insert(histogram().map_err(|error| error.to_string())?),
        };
        packed::unpack(interval.packed, |value, count| {
            sum.record_n(value, count).map_err(|_| format!("the value {value} is out of range"))
        })
    }

    fn finish(self) -> Latencies {
        let spectra = self.merged.into_iter().map(|(key, sum)| (key, Spectrum::of(&sum))).collect();
        Latencies { spectra }
    }
}

/// One line: `Tag=name,start,length,max,histogram`; the tag may lack.
struct Interval<'a> {
    tag: Option<&'a str>,
    at_s: f64,
    packed: &'a str,
}

impl<'a> Interval<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (tag, rest) = match text.strip_prefix("Tag=") {
            Some(tagged) => tagged.split_once(',').map(|(tag, rest)| (Some(tag), rest))?,
            None => (None, text),
        };
        let mut fields = rest.splitn(4, ',');
        let mut number =
            || fields.next()?.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
        let (at_s, _length_s, _max) = (number()?, number()?, number()?);
        Some(Self { tag, at_s, packed: fields.next()? })
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

//! `latency.hlog` merged by phase and tag, where intervals outside every phase (warm-up) are left out; and
//! second by second what ok answers took, for who draws it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, BufRead as _, Read as _};
use std::path::Path;

use hdrhistogram::Histogram;

use super::broken::Broken;
use super::spectrum::{Spectrum, rank};
use super::{packed, table};
use crate::latency::{Metric, Tag, histogram};
use crate::{Operation, Outcome, Phase};

/// The base64 of the largest histogram that is unpacked.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Phases by operations, outcomes and metrics; each has a table of 190 KB.
const SERIES_MAX: usize = 2_000;
/// Intervals of ok answers, of all operations: eleven days of four series.
const MOMENTS_MAX: usize = 4_000_000;

/// Times by phase (its index in the manifest) and tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    spectra: BTreeMap<(usize, Tag), Spectrum>,
    moments: BTreeMap<(Metric, Operation), Vec<Moment>>,
}

/// The ok answers to what was meant to start in one interval. Its percentiles are of that interval's
/// few samples, however few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When the interval begins, whole seconds since the start of the schedule.
    pub at_s: u32,
    /// The median, µs.
    pub p50_us: u64,
    /// The 99th percentile, µs.
    pub p99_us: u64,
}

impl Latencies {
    /// Reads the log and keeps what lies in `phases`; a partial one may end within a line or lack.
    ///
    /// # Errors
    /// If it cannot be read, or a line of it is none of such a log; the line is named.
    pub fn read(path: &Path, phases: &[Phase], partial: bool) -> Result<Self, Broken> {
        let Some(mut file) = table::open(path)? else { return table::absent(path, partial) };
        let mut merge = Merge { phases, merged: BTreeMap::new(), moments: BTreeMap::new() };
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
    pub fn of_places(times: &[(Outcome, Metric, std::ops::RangeInclusive<u64>)]) -> Self {
        let spectrum = |range: &std::ops::RangeInclusive<u64>| {
            let mut all = histogram().unwrap();
            range.clone().for_each(|us| all.record(us).unwrap());
            Spectrum::of(&all)
        };
        let tag = |outcome, metric| (0, Tag { operation: Operation::Place, outcome, metric });
        let times = times.iter();
        let spectra = times.map(|(outcome, metric, us)| (tag(*outcome, *metric), spectrum(us)));
        Self { spectra: spectra.collect(), moments: BTreeMap::new() }
    }

    /// What ok answers of `operation` took, interval by interval, warm-up included; response or completed.
    #[must_use]
    pub fn moments(&self, operation: Operation, metric: Metric) -> &[Moment] {
        self.moments.get(&(metric, operation)).map_or(&[], Vec::as_slice)
    }

    /// The times of `operation` in `phase` whose outcome is wanted, merged.
    #[must_use]
    pub fn times(
        &self,
        phase: usize,
        operation: Operation,
        metric: Metric,
        wanted: impl Fn(Outcome) -> bool,
    ) -> Spectrum {
        self.spectra
            .iter()
            .filter(|((at, tag), _)| {
                *at == phase
                    && tag.operation == operation
                    && tag.metric == metric
                    && wanted(tag.outcome)
            })
            .fold(Spectrum::default(), |sum, (_, part)| sum.merged(part))
    }
}

impl Latencies {
    /// As [`Self::times`], but each as short as it may have been on a machine that was never late and never
    /// stood still; the same where nothing was touched, and in older records.
    #[must_use]
    pub fn least(
        &self,
        phase: usize,
        operation: Operation,
        metric: Metric,
        wanted: impl Fn(Outcome) -> bool + Copy,
    ) -> Spectrum {
        let measured = self.times(phase, operation, metric, wanted);
        let Some((touched, least)) = metric.touched() else { return measured };
        let [touched, least] =
            [touched, least].map(|metric| self.times(phase, operation, metric, wanted));
        measured.without(&touched).merged(&least)
    }
}

struct Merge<'a> {
    phases: &'a [Phase],
    merged: BTreeMap<(usize, Tag), Histogram<u64>>,
    moments: BTreeMap<(Metric, Operation), Vec<Moment>>,
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
        let mut bins = Vec::new();
        packed::unpack(interval.packed, |value, count| {
            bins.push((value, count));
            Ok(())
        })?;
        self.moment(interval.at_s, &tag, &bins)?;
        let Some(phase) = self.phases.iter().position(inside) else { return Ok(()) };
        let series = self.merged.len();
        let sum = match self.merged.entry((phase, tag)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if series == SERIES_MAX => {
                return Err(format!("more than {SERIES_MAX} kinds of interval"));
            }
            Entry::Vacant(entry) => entry.insert(histogram().map_err(|error| error.to_string())?),
        };
        bins.into_iter().try_for_each(|(value, count)| {
            sum.record_n(value, count).map_err(|_| format!("the value {value} is out of range"))
        })
    }

    fn moment(&mut self, at_s: f64, tag: &Tag, bins: &[(u64, u64)]) -> Result<(), String> {
        let drawn = tag.outcome == Outcome::Ok
            && matches!(tag.metric, Metric::Response | Metric::Completed);
        let all: u64 = bins.iter().map(|bin| bin.1).sum();
        if !drawn || all == 0 || at_s >= f64::from(u32::MAX) {
            return Ok(());
        }
        if self.moments.values().map(Vec::len).sum::<usize>() >= MOMENTS_MAX {
            return Err(format!("more than {MOMENTS_MAX} intervals of ok answers"));
        }
        let series = self.moments.entry((tag.metric, tag.operation)).or_default();
        let at = |q| at_rank(bins, rank(q, all));
        series.push(Moment { at_s: at_s as u32, p50_us: at(0.5), p99_us: at(0.99) });
        Ok(())
    }

    fn finish(self) -> Latencies {
        let spectra = self.merged.into_iter().map(|(key, sum)| (key, Spectrum::of(&sum))).collect();
        Latencies { spectra, moments: self.moments }
    }
}

/// The `rank`-th smallest sample, from 1; the largest if there are not so many.
fn at_rank(bins: &[(u64, u64)], rank: u64) -> u64 {
    let mut seen = 0;
    let bin = bins.iter().find(|bin| {
        seen += bin.1;
        seen >= rank
    });
    bin.or(bins.last()).map_or(0, |bin| bin.0)
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

//! From history and ledger to the time series and histograms of a record.
//!
//! Streams: attempts are grouped by the interval of their intended start, and an interval is
//! written when no open request can belong to it any more.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriter, IntervalLogWriterBuilder, Tag as LogTag,
};

use crate::history::{self, Attempt};
use crate::ledger::OrderRow;
use crate::record::latency::{self, Metric, Tag};
use crate::record::write_csv;
use crate::record::{Manifest, TimelineRow};
use crate::sample::Outcome;

const NS_PER_S: u64 = 1_000_000_000;

/// What the digest adds up for the manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digested {
    /// Orders that reached a final state, whoever was told.
    pub completed_orders: u64,
    /// The last of them, seconds after the end of the schedule; 0 if all were before it.
    pub last_completed_us: i64,
}

/// Writes `timeline.csv` and `latency.hlog` of a record.
///
/// # Errors
/// If the history cannot be read or a file cannot be written.
pub fn write(folder: &Path, manifest: &Manifest, orders: &[OrderRow]) -> anyhow::Result<Digested> {
    let settled: HashMap<&str, i64> = orders
        .iter()
        .filter_map(|o| Some((o.key.as_str(), o.settled_at? - manifest.started_at_us)))
        .collect();
    let log_path = folder.join("latency.hlog");
    let file =
        File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    let mut out = BufWriter::new(file);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = begin_log(manifest, &mut out, &mut serializer)?;
    let mut series = Series::new(manifest, settled);
    for attempt in history::read(folder)? {
        let attempt = attempt?;
        series.add(&attempt)?;
        let horizon_s = manifest.limits.timeout_s + manifest.limits.drain_s + 1.0;
        let over = (attempt.done_ns / NS_PER_S).saturating_sub(horizon_s.ceil() as u64);
        series.write_until(u32::try_from(over).unwrap_or(u32::MAX), &mut log)?;
    }
    series.write_until(u32::MAX, &mut log)?;
    drop(log);
    // Dropped instead, it would keep to itself that the disk is full.
    out.flush().with_context(|| format!("cannot write {}", log_path.display()))?;
    series.finish(folder)
}

type Log<'a> = IntervalLogWriter<'a, 'a, BufWriter<File>, V2DeflateSerializer>;

fn begin_log<'a>(
    manifest: &Manifest,
    out: &'a mut BufWriter<File>,
    serializer: &'a mut V2DeflateSerializer,
) -> anyhow::Result<Log<'a>> {
    let start = UNIX_EPOCH + Duration::from_micros(manifest.started_at_us.max(0).cast_unsigned());
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(
            "[values in microseconds; tags operation.outcome.metric; intervals by intended start]",
        )
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(1_000.0);
    let mut log = builder.begin_log_with(out, serializer)?;
    log.write_comment(
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"",
    )?;
    Ok(log)
}

/// Times of one interval, µs, by tag.
type Times = BTreeMap<Tag, Vec<u64>>;

/// Changes of a level within one interval.
#[derive(Clone, Copy, Default)]
struct Flow {
    sent: u64,
    done: u64,
    acknowledged: u64,
    completed_acknowledged: u64,
}

struct Series<'a> {
    settled: HashMap<&'a str, i64>,
    length_s: u32,
    open: BTreeMap<u32, Times>,
    rows: BTreeMap<(u32, String), TimelineRow>,
    flows: BTreeMap<(u32, String), Flow>,
    digested: Digested,
    end_us: i64,
    objective_ns: u64,
}

impl<'a> Series<'a> {
    fn new(manifest: &Manifest, settled: HashMap<&'a str, i64>) -> Self {
        let mut series = Self {
            length_s: manifest.interval_s.max(1),
            open: BTreeMap::new(),
            rows: BTreeMap::new(),
            flows: BTreeMap::new(),
            digested: Digested::default(),
            end_us: i64::from(manifest.duration_s) * 1_000_000,
            objective_ns: (manifest.limits.objective_s * 1e9) as u64,
            settled: HashMap::new(),
        };
        for at_us in settled.values() {
            series.complete(*at_us);
        }
        series.settled = settled;
        series
    }

    fn interval(&self, ns: u64) -> u32 {
        let second = u32::try_from(ns / NS_PER_S).unwrap_or(u32::MAX);
        second - second % self.length_s
    }

    fn row(&mut self, t_s: u32, operation: &str) -> &mut TimelineRow {
        self.rows.entry((t_s, operation.to_owned())).or_insert_with(|| TimelineRow {
            t_s,
            operation: operation.to_owned(),
            ..TimelineRow::default()
        })
    }

    fn flow(&mut self, ns: u64, operation: &str) -> &mut Flow {
        let at = self.interval(ns);
        self.flows.entry((at, operation.to_owned())).or_default()
    }

    /// Counts an order that became final; those of the preparation are before second 0.
    fn complete(&mut self, at_us: i64) {
        let Ok(at) = u64::try_from(at_us) else { return };
        let t_s = self.interval(at * 1_000);
        self.row(t_s, "place").completed += 1;
        self.digested.completed_orders += 1;
        self.digested.last_completed_us = self.digested.last_completed_us.max(at_us - self.end_us);
    }

    fn add(&mut self, a: &Attempt) -> anyhow::Result<()> {
        let outcome = Outcome::parse(&a.outcome)
            .with_context(|| format!("attempt {}: the outcome is {:?}", a.seq, a.outcome))?;
        let at = self.interval(a.intended_ns);
        let row = self.row(at, &a.operation);
        row.offered += 1;
        if a.operation == "place" {
            row.good.get_or_insert(0);
        }
        match outcome {
            Outcome::Ok => row.ok += 1,
            Outcome::Failed => row.failed += 1,
            Outcome::Unknown => row.unknown += 1,
            Outcome::Dropped => row.dropped += 1,
            Outcome::Unfinished => row.unfinished += 1,
        }
        if outcome == Outcome::Dropped {
            return Ok(());
        }
        let sent_in = self.interval(a.sent_ns);
        self.row(sent_in, &a.operation).sent += 1;
        self.flow(a.sent_ns, &a.operation).sent += 1;
        if outcome != Outcome::Unfinished {
            self.flow(a.done_ns, &a.operation).done += 1;
        }
        if outcome == Outcome::Ok {
            let done_in = self.interval(a.done_ns);
            self.row(done_in, &a.operation).answered += 1;
        }
        self.add_times(at, a, outcome);
        Ok(())
    }

    fn add_times(&mut self, at: u32, a: &Attempt, outcome: Outcome) {
        let completed_ns = self.completed_ns(a);
        if outcome == Outcome::Ok && a.operation == "place" {
            let good = completed_ns
                .is_some_and(|at| at.saturating_sub(a.intended_ns) <= self.objective_ns);
            *self.row(at, "place").good.get_or_insert(0) += u64::from(good);
            self.flow(a.done_ns, "place").acknowledged += 1;
            if let Some(completed_ns) = completed_ns {
                self.flow(completed_ns.max(a.done_ns), "place").completed_acknowledged += 1;
            }
        }
        let times = self.open.entry(at).or_default();
        let mut put = |metric, from: u64, to: u64| {
            let tag = Tag { operation: a.operation.clone(), outcome: a.outcome.clone(), metric };
            times.entry(tag).or_default().push(to.saturating_sub(from) / 1_000);
        };
        put(Metric::Response, a.intended_ns, a.done_ns);
        put(Metric::Service, a.sent_ns, a.done_ns);
        put(Metric::Lag, a.intended_ns, a.sent_ns);
        if let Some(completed_ns) = completed_ns {
            put(Metric::Completed, a.intended_ns, completed_ns);
        }
    }

    /// When the order of this attempt became final: with the answer if that said so, else when the
    /// ledger says.
    fn completed_ns(&self, a: &Attempt) -> Option<u64> {
        if a.operation != "place" {
            return None;
        }
        if matches!(a.receipt.as_str(), "paid" | "declined") {
            return Some(a.done_ns);
        }
        let settled_us = self.settled.get(a.key.as_str())?;
        u64::try_from(*settled_us).ok().map(|us| us * 1_000)
    }

    /// Writes the intervals before `second`.
    fn write_until(&mut self, second: u32, log: &mut Log<'_>) -> anyhow::Result<()> {
        while let Some(entry) = self.open.first_entry().filter(|e| *e.key() < second) {
            let (t_s, times) = entry.remove_entry();
            let mut by_operation: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
            for (tag, values) in times {
                let mut histogram = Histogram::<u64>::new_with_bounds(1, latency::MAX_US, 3)?;
                for value in values {
                    histogram.saturating_record(value.max(1));
                }
                if tag.metric == Metric::Response {
                    by_operation
                        .entry(tag.operation.clone())
                        .or_insert(latency::histogram()?)
                        .add(&histogram)?;
                }
                let text = tag.to_string();
                let start = Duration::from_secs(u64::from(t_s));
                let length = Duration::from_secs(u64::from(self.length_s));
                log.write_histogram(&histogram, start, length, LogTag::new(&text))
                    .map_err(|e| anyhow::anyhow!("cannot write the histogram log: {e:?}"))?;
            }
            for (operation, histogram) in by_operation {
                let ms = |us: u64| Some(us as f64 / 1_000.0);
                let row = self.row(t_s, &operation);
                row.p50_ms = ms(histogram.value_at_quantile(0.5));
                row.p90_ms = ms(histogram.value_at_quantile(0.9));
                row.p99_ms = ms(histogram.value_at_quantile(0.99));
                row.max_ms = ms(histogram.max());
            }
        }
        Ok(())
    }

    fn finish(mut self, folder: &Path) -> anyhow::Result<Digested> {
        self.add_levels();
        let rows: Vec<_> = self.rows.into_values().collect();
        write_csv(&folder.join("timeline.csv"), &rows)?;
        Ok(self.digested)
    }

    /// Levels at the end of every interval are sums of the changes up to it.
    fn add_levels(&mut self) {
        let Some(last) = self.rows.keys().map(|(t_s, _)| *t_s).max() else { return };
        let operations: std::collections::BTreeSet<String> =
            self.flows.keys().map(|(_, operation)| operation.clone()).collect();
        for operation in operations {
            let mut sum = Flow::default();
            for t_s in (0..=last).step_by(self.length_s as usize) {
                let change = self.flows.get(&(t_s, operation.clone())).copied().unwrap_or_default();
                sum.sent += change.sent;
                sum.done += change.done;
                sum.acknowledged += change.acknowledged;
                sum.completed_acknowledged += change.completed_acknowledged;
                let row = self.row(t_s, &operation);
                row.in_flight = sum.sent.saturating_sub(sum.done);
                row.backlog = sum.acknowledged.saturating_sub(sum.completed_acknowledged);
            }
        }
    }
}

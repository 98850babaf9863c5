//! From history and ledger to the time series and histograms of a record.
//!
//! Streams: attempts are grouped by the interval of their intended start, and an interval is
//! written when no open request can belong to it any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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

use record::files;
use record::history;
use record::latency::{self, Metric, Tag};
use record::ledger::OrderRow;
use record::requests::{Ended, Part, Requests};
use record::{Attempt, Manifest, Outcome, TimelineRow, write_csv};

const NS_PER_S: u64 = 1_000_000_000;
/// An order that says that it became final later than this after the load did not: the time series would
/// go on for as long as it says.
const LONGEST_AFTER_S: i64 = 86_400;

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
pub fn write(
    folder: &Path,
    manifest: &Manifest,
    orders: impl IntoIterator<Item = anyhow::Result<OrderRow>>,
) -> anyhow::Result<Digested> {
    let settled = settled(manifest, orders)?;
    let log_path = folder.join(files::LATENCIES);
    let file =
        File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    let mut out = BufWriter::new(file);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = begin_log(manifest, &mut out, &mut serializer)?;
    let mut series = Series::new(manifest, settled);
    let patience_s = manifest.limits.order_s.max(manifest.limits.timeout_s);
    let horizon_s = patience_s + manifest.limits.drain_s + 1.0;
    for attempt in history::read(folder)? {
        let attempt = attempt?;
        series.add(&attempt)?;
        let over = (attempt.done_ns / NS_PER_S).saturating_sub(horizon_s.ceil() as u64);
        series.write_until(u32::try_from(over).unwrap_or(u32::MAX), &mut log)?;
    }
    series.end_requests();
    series.write_until(u32::MAX, &mut log)?;
    drop(log);
    // Dropped instead, it would keep to itself that the disk is full.
    out.flush().with_context(|| format!("cannot write {}", log_path.display()))?;
    series.finish(folder)
}

/// When orders became final, µs since second 0, by key.
fn settled(
    manifest: &Manifest,
    orders: impl IntoIterator<Item = anyhow::Result<OrderRow>>,
) -> anyhow::Result<HashMap<Box<str>, i64>> {
    let last_us = (i64::from(manifest.duration_s) + LONGEST_AFTER_S) * 1_000_000;
    let mut settled = HashMap::new();
    for row in orders {
        let row = row?;
        let at_us = row.settled_at.map(|at| at.saturating_sub(manifest.started_at_us));
        if let Some(at_us) = at_us.filter(|at_us| *at_us <= last_us) {
            settled.insert(row.key.into(), at_us);
        }
    }
    Ok(settled)
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

/// Values of one interval by operation: few, so that to look along them costs less than to make a key for
/// each look.
type ByOperation<T> = Vec<(String, T)>;

/// Times of one interval, µs, by tag; few, as above.
type Times = Vec<(Tag, Vec<u64>)>;

/// Changes of a level within one interval.
#[derive(Clone, Copy, Default)]
struct Flow {
    sent: u64,
    done: u64,
    acknowledged: u64,
    completed_acknowledged: u64,
}

struct Series {
    settled: HashMap<Box<str>, i64>,
    length_s: u32,
    open: BTreeMap<u32, Times>,
    rows: BTreeMap<u32, ByOperation<TimelineRow>>,
    flows: BTreeMap<u32, ByOperation<Flow>>,
    requests: Requests,
    digested: Digested,
    end_us: i64,
    objective_ns: u64,
}

/// The value of an operation, made if there is none yet.
fn of<'v, T>(
    values: &'v mut ByOperation<T>,
    operation: &str,
    make: impl FnOnce() -> T,
) -> &'v mut T {
    let known = values.iter().position(|(name, _)| name == operation);
    let at = known.unwrap_or_else(|| {
        values.push((operation.to_owned(), make()));
        values.len() - 1
    });
    &mut values[at].1
}

impl Series {
    fn new(manifest: &Manifest, settled: HashMap<Box<str>, i64>) -> Self {
        let mut series = Self {
            length_s: manifest.interval_s.max(1),
            open: BTreeMap::new(),
            rows: BTreeMap::new(),
            flows: BTreeMap::new(),
            requests: Requests::default(),
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
        of(self.rows.entry(t_s).or_default(), operation, || TimelineRow {
            t_s,
            operation: operation.to_owned(),
            good: (operation == "place").then_some(0),
            ..TimelineRow::default()
        })
    }

    fn flow(&mut self, ns: u64, operation: &str) -> &mut Flow {
        let at = self.interval(ns);
        of(self.flows.entry(at).or_default(), operation, Flow::default)
    }

    /// Counts an order that became final; those of the preparation are before second 0.
    fn complete(&mut self, at_us: i64) {
        let Ok(at) = u64::try_from(at_us) else { return };
        let t_s = self.interval(at * 1_000);
        self.row(t_s, "place").completed += 1;
        self.digested.completed_orders += 1;
        self.digested.last_completed_us = self.digested.last_completed_us.max(at_us - self.end_us);
    }

    /// Takes the next attempt. Counts by outcome and response times are those of requests, from their
    /// first intent; sendings, service times and lags those of each attempt.
    fn add(&mut self, a: &Attempt) -> anyhow::Result<()> {
        let part = Part::of(a)
            .with_context(|| format!("attempt {}: the outcome is {:?}", a.seq, a.outcome))?;
        if let Some(ended) = self.requests.add(part) {
            self.end(&a.operation, ended, self.completed_ns(a));
        }
        if part.outcome == Outcome::Dropped {
            return Ok(());
        }
        let sent_in = self.interval(a.sent_ns);
        self.row(sent_in, &a.operation).sent += 1;
        self.flow(a.sent_ns, &a.operation).sent += 1;
        if part.outcome != Outcome::Unfinished {
            self.flow(a.done_ns, &a.operation).done += 1;
        }
        if part.outcome == Outcome::Ok {
            let done_in = self.interval(a.done_ns);
            self.row(done_in, &a.operation).answered += 1;
        }
        let at = self.interval(a.intended_ns);
        self.put(at, (&a.operation, part.outcome, Metric::Service), a.sent_ns, a.done_ns);
        self.put(at, (&a.operation, part.outcome, Metric::Lag), a.intended_ns, a.sent_ns);
        Ok(())
    }

    /// Those that were to ask again, but the load was stopped before.
    fn end_requests(&mut self) {
        for (_, ended) in std::mem::take(&mut self.requests).rest() {
            // Only orders are asked for again, and none of these was acknowledged.
            self.end("place", ended, None);
        }
    }

    /// Counts a request that has ended; `completed_ns` is when its order became final.
    fn end(&mut self, operation: &str, ended: Ended, completed_ns: Option<u64>) {
        let at = self.interval(ended.intended_ns);
        let row = self.row(at, operation);
        row.offered += 1;
        *row.attempts.get_or_insert(0) += u64::from(ended.attempts);
        match ended.outcome {
            Outcome::Ok => row.ok += 1,
            Outcome::Failed => row.failed += 1,
            Outcome::Unknown => row.unknown += 1,
            Outcome::Dropped => row.dropped += 1,
            Outcome::Unfinished => row.unfinished += 1,
        }
        let acknowledged = operation == "place" && ended.outcome == Outcome::Ok;
        if operation == "place" {
            let within = |at: u64| at.saturating_sub(ended.intended_ns) <= self.objective_ns;
            let good = acknowledged && completed_ns.is_some_and(within);
            *self.row(at, operation).good.get_or_insert(0) += u64::from(good);
        }
        if ended.outcome == Outcome::Dropped {
            return;
        }
        if acknowledged {
            self.flow(ended.done_ns, operation).acknowledged += 1;
            if let Some(completed_ns) = completed_ns {
                self.flow(completed_ns.max(ended.done_ns), operation).completed_acknowledged += 1;
            }
        }
        let felt = (operation, ended.outcome, Metric::Response);
        self.put(at, felt, ended.intended_ns, ended.done_ns);
        if let Some(completed_ns) = completed_ns {
            let completed = (operation, ended.outcome, Metric::Completed);
            self.put(at, completed, ended.intended_ns, completed_ns);
        }
    }

    /// Keeps a time of an interval.
    fn put(&mut self, at: u32, of: (&str, Outcome, Metric), from_ns: u64, to_ns: u64) {
        let (operation, outcome, metric) = of;
        let times = self.open.entry(at).or_default();
        let us = to_ns.saturating_sub(from_ns) / 1_000;
        let same = |tag: &Tag| {
            tag.metric == metric && tag.outcome == outcome.as_str() && tag.operation == operation
        };
        match times.iter_mut().find(|(tag, _)| same(tag)) {
            Some((_, values)) => values.push(us),
            None => {
                let (operation, outcome) = (operation.to_owned(), outcome.as_str().to_owned());
                times.push((Tag { operation, outcome, metric }, vec![us]));
            }
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
            let (t_s, mut times) = entry.remove_entry();
            times.sort_by(|a, b| a.0.cmp(&b.0));
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
        let mut rows: Vec<_> = self.rows.into_values().flatten().map(|(_, row)| row).collect();
        rows.sort_by(|a, b| (a.t_s, &a.operation).cmp(&(b.t_s, &b.operation)));
        write_csv(&folder.join(files::TIMELINE), &rows)?;
        Ok(self.digested)
    }

    /// Levels at the end of every interval are sums of the changes up to it.
    fn add_levels(&mut self) {
        let Some(last) = self.rows.keys().next_back().copied() else { return };
        let flows = std::mem::take(&mut self.flows);
        let operations: BTreeSet<&str> =
            flows.values().flatten().map(|(operation, _)| operation.as_str()).collect();
        for operation in operations {
            let mut sum = Flow::default();
            for t_s in (0..=last).step_by(self.length_s as usize) {
                let mut of_second = flows.get(&t_s).into_iter().flatten();
                let change = of_second.find(|(name, _)| name == operation);
                let change = change.map(|(_, flow)| *flow).unwrap_or_default();
                sum.sent += change.sent;
                sum.done += change.done;
                sum.acknowledged += change.acknowledged;
                sum.completed_acknowledged += change.completed_acknowledged;
                let row = self.row(t_s, operation);
                row.in_flight = sum.sent.saturating_sub(sum.done);
                row.backlog = sum.acknowledged.saturating_sub(sum.completed_acknowledged);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::sync_channel;

    use super::*;
    use load::recorder;
    use record::read::table;
    use record::{GeneratorLimits, Operation, Receipt, Sample, Trouble};

    const MS: u64 = 1_000_000;

    /// An attempt to place an order: who, which, when it should start and when it ended (ms).
    fn sample(of: (u64, u8, bool), from_ms: u64, to_ms: u64, outcome: Outcome) -> Sample {
        let (seq, retry, again) = of;
        Sample {
            seq,
            operation: Operation::Place,
            customer: 0,
            amount_cents: 5,
            intended_ns: from_ms * MS,
            sent_ns: from_ms * MS,
            done_ns: to_ms * MS,
            outcome,
            status: 0,
            trouble: Trouble::None,
            receipt: if outcome == Outcome::Ok { Receipt::Paid } else { Receipt::None },
            about: None,
            told: None,
            retry,
            again,
        }
    }

    /// Records and digests; the recorder's counts, and the time series.
    fn digested(samples: Vec<Sample>) -> (recorder::Totals, Vec<TimelineRow>) {
        let folder = tempfile::tempdir().unwrap();
        let (send, recorded) = sync_channel(1);
        send.send(samples).unwrap();
        drop(send);
        let recording = (folder.path().to_owned(), "1".to_owned()).into();
        let totals = recorder::write(recording, &recorded, &AtomicBool::new(false)).unwrap();
        let limits = GeneratorLimits {
            timeout_s: 1.0,
            drain_s: 1.0,
            objective_s: 2.0,
            ..GeneratorLimits::default()
        };
        let manifest = Manifest { interval_s: 1, duration_s: 9, limits, ..Manifest::default() };
        write(folder.path(), &manifest, []).unwrap();
        let rows = table::rows(&folder.path().join("timeline.csv"), false).unwrap();
        (totals, rows)
    }

    #[test]
    fn an_order_is_one_request_from_its_first_intent_however_often_it_is_asked_for() {
        use Outcome::{Failed, Ok, Unknown};
        let (totals, rows) = digested(vec![
            sample((1, 0, true), 500, 900, Unknown),
            sample((2, 0, true), 1_200, 1_300, Unknown),
            sample((1, 1, false), 2_000, 2_100, Ok),
            sample((2, 1, false), 2_400, 2_500, Failed),
            sample((3, 0, true), 3_100, 3_200, Failed),
            sample((4, 0, false), 3_300, 3_400, Ok),
        ]);
        let counts = totals.counts[&Operation::Place];
        assert_eq!((counts.ok, counts.failed, counts.unknown), (2, 1, 1));
        let row = |t_s: u32| rows.iter().find(|row| row.t_s == t_s).unwrap();
        let of = |t_s| {
            let TimelineRow { offered, ok, failed, unknown, sent, answered, .. } = *row(t_s);
            ([offered, ok, failed, unknown], [sent, answered])
        };
        assert_eq!(of(0), ([1, 1, 0, 0], [1, 0]), "answered in second 2");
        assert_eq!(of(1), ([1, 0, 0, 1], [1, 0]), "its first attempt may have had an effect");
        assert_eq!(of(2), ([0, 0, 0, 0], [2, 1]), "only retries were sent");
        assert_eq!(of(3), ([2, 1, 1, 0], [2, 1]), "the one that was to ask again did not");
        assert_eq!([0, 1, 2, 3].map(|t_s| row(t_s).attempts), [Some(2), Some(2), None, Some(2)]);
        let felt = |t_s| (row(t_s).max_ms.unwrap() / 10.0).round() * 10.0;
        assert_eq!([felt(0), felt(1), felt(3)], [1_600.0, 1_300.0, 100.0]);
        assert_eq!([row(0).good, row(1).good, row(2).good], [1, 0, 0].map(Some));
        assert!(rows.iter().all(|row| row.in_flight == 0), "{rows:?}");
        let attempts: u64 = totals.attempts().iter().map(|kind| kind.count).sum();
        assert_eq!((attempts, totals.attempts().len()), (6, 3));
    }
}

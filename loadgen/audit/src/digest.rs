//! From history and ledger to the time series and histograms of a record.
//!
//! Streams: attempts are grouped by the interval of their intended start, and an interval is
//! written when no open request can belong to it any more.

mod touch;

use std::collections::btree_map::Entry;
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
use record::requests::{Ended, Requests};
use record::{Attempt, Manifest, Operation, Outcome, TimelineRow, Touched, write_csv};
use touch::{Added, Touch};

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
    /// What the measuring machine touched.
    pub touched: Touched,
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
    write_all(folder, manifest, settled(manifest, orders)?)
}

fn write_all(
    folder: &Path,
    manifest: &Manifest,
    settled: HashMap<Box<str>, i64>,
) -> anyhow::Result<Digested> {
    let touch = Touch::of(folder, manifest, &settled)?;
    let log_path = folder.join(files::LATENCIES);
    let file =
        File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    let mut out = BufWriter::new(file);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = begin_log(manifest, &mut out, &mut serializer)?;
    let mut series = Series::new(manifest, settled, touch);
    let horizon_s = horizon_s(manifest);
    for attempt in history::read(folder)? {
        let attempt = attempt?;
        series.add(&attempt);
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

/// How long after its intent a request may still be open, s.
fn horizon_s(manifest: &Manifest) -> f64 {
    let patience_s = manifest.limits.order_s.max(manifest.limits.timeout_s);
    patience_s + manifest.limits.drain_s + 1.0
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

/// Leaves as touched what may have ended otherwise; how many that are.
fn settle(rows: &mut [TimelineRow], length_s: u32) -> u64 {
    let operations: BTreeSet<Operation> = rows.iter().map(|row| row.operation).collect();
    for operation in operations {
        let own = |row: &&TimelineRow| row.operation == operation;
        let mut of_one = rows.iter().filter(own).map(|row| (row.t_s, row.clone())).collect();
        touch::settle(&mut of_one, length_s);
        for row in rows.iter_mut().filter(|row| row.operation == operation) {
            row.clone_from(&of_one[&row.t_s]);
        }
    }
    let left = |row: &TimelineRow| row.touched_ok.unwrap_or(0) + row.touched_failed.unwrap_or(0);
    rows.iter().map(left).sum()
}

/// What customers of one interval felt.
struct Felt {
    all: Histogram<u64>,
    touched: Histogram<u64>,
    least: Histogram<u64>,
}

impl Felt {
    fn new() -> anyhow::Result<Self> {
        let [all, touched, least] =
            [latency::histogram()?, latency::histogram()?, latency::histogram()?];
        Ok(Self { all, touched, least })
    }

    fn counts(metric: Metric) -> bool {
        matches!(metric, Metric::Response | Metric::ResponseTouched | Metric::ResponseLeast)
    }

    fn add(&mut self, metric: Metric, times: &Histogram<u64>) -> anyhow::Result<()> {
        let sum = match metric {
            Metric::ResponseTouched => &mut self.touched,
            Metric::ResponseLeast => &mut self.least,
            _ => &mut self.all,
        };
        Ok(sum.add(times)?)
    }

    fn fill(mut self, row: &mut TimelineRow) -> anyhow::Result<()> {
        let ms = |us: u64| Some(us as f64 / 1_000.0);
        row.p50_ms = ms(self.all.value_at_quantile(0.5));
        row.p90_ms = ms(self.all.value_at_quantile(0.9));
        row.p99_ms = ms(self.all.value_at_quantile(0.99));
        row.max_ms = ms(self.all.max());
        if !self.touched.is_empty() {
            self.all.subtract(&self.touched)?;
            self.all.add(&self.least)?;
            row.p50_least_ms = ms(self.all.value_at_quantile(0.5));
            row.p99_least_ms = ms(self.all.value_at_quantile(0.99));
        }
        Ok(())
    }
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
type ByOperation<T> = Vec<(Operation, T)>;

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
    touch: Touch,
    digested: Digested,
    end_us: i64,
    objective_ns: u64,
}

/// The value of an operation, made if there is none yet.
fn of<T>(values: &mut ByOperation<T>, operation: Operation, make: impl FnOnce() -> T) -> &mut T {
    let known = values.iter().position(|(of, _)| *of == operation);
    let at = known.unwrap_or_else(|| {
        values.push((operation, make()));
        values.len() - 1
    });
    &mut values[at].1
}

impl Series {
    fn new(manifest: &Manifest, settled: HashMap<Box<str>, i64>, touch: Touch) -> Self {
        let touched = Touched { late: touch.late(), ..Touched::default() };
        let mut series = Self {
            length_s: manifest.interval_s.max(1),
            open: BTreeMap::new(),
            rows: BTreeMap::new(),
            flows: BTreeMap::new(),
            requests: Requests::default(),
            touch,
            digested: Digested { touched, ..Digested::default() },
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

    fn row(&mut self, t_s: u32, operation: Operation) -> &mut TimelineRow {
        of(self.rows.entry(t_s).or_default(), operation, || TimelineRow {
            t_s,
            operation,
            good: (operation == Operation::Place).then_some(0),
            touched_ok: Some(0),
            touched_failed: Some(0),
            touched_good: (operation == Operation::Place).then_some(0),
            touched_missed: (operation == Operation::Place).then_some(0),
            ..TimelineRow::default()
        })
    }

    fn flow(&mut self, ns: u64, operation: Operation) -> &mut Flow {
        let at = self.interval(ns);
        of(self.flows.entry(at).or_default(), operation, Flow::default)
    }

    /// Counts an order that became final; those of the preparation are before second 0.
    fn complete(&mut self, at_us: i64) {
        let Ok(at) = u64::try_from(at_us) else { return };
        let t_s = self.interval(at * 1_000);
        self.row(t_s, Operation::Place).completed += 1;
        self.digested.completed_orders += 1;
        self.digested.last_completed_us = self.digested.last_completed_us.max(at_us - self.end_us);
    }

    /// Takes the next attempt. Counts by outcome and response times are those of requests, from their
    /// first intent; sendings, service times and lags those of each attempt.
    fn add(&mut self, a: &Attempt) {
        let (operation, outcome) = (a.operation, a.outcome);
        let added = self.touch.added(a);
        if let Some(ended) = self.requests.add(a.into()) {
            self.end(operation, (ended, added), self.completed_ns(a));
        }
        if outcome == Outcome::Dropped {
            return;
        }
        let sent_in = self.interval(a.sent_ns);
        self.row(sent_in, operation).sent += 1;
        self.flow(a.sent_ns, operation).sent += 1;
        if outcome != Outcome::Unfinished {
            self.flow(a.done_ns, operation).done += 1;
        }
        if outcome == Outcome::Ok {
            let done_in = self.interval(a.done_ns);
            self.row(done_in, operation).answered += 1;
        }
        let at = self.interval(a.intended_ns);
        let tag = |metric| Tag { operation, outcome, metric };
        self.put(at, tag(Metric::Service), a.sent_ns, a.done_ns);
        self.put(at, tag(Metric::Lag), a.intended_ns, a.sent_ns);
    }

    /// Those that were to ask again, but the load was stopped before.
    fn end_requests(&mut self) {
        for (seq, ended) in std::mem::take(&mut self.requests).rest() {
            let added = self.touch.rest(seq);
            // Only orders are asked for again, and none of these was acknowledged.
            self.end(Operation::Place, (ended, added), None);
        }
    }

    /// Counts a request that has ended; `completed_ns` is when its order became final.
    fn end(
        &mut self,
        operation: Operation,
        (ended, added): (Ended, Added),
        completed_ns: Option<u64>,
    ) {
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
        let acknowledged = operation == Operation::Place && ended.outcome == Outcome::Ok;
        let objective_ns = self.objective_ns;
        let within = |at: u64| at.saturating_sub(ended.intended_ns) <= objective_ns;
        let good = acknowledged && completed_ns.is_some_and(within);
        if operation == Operation::Place {
            *self.row(at, operation).good.get_or_insert(0) += u64::from(good);
        }
        let may_differ = ended.outcome == Outcome::Dropped || added.changes;
        if may_differ {
            self.touch(at, operation, ended.outcome == Outcome::Ok, good);
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
        self.digested.touched.times += u64::from(added.ns > 0);
        let tag = |metric| Tag { operation, outcome: ended.outcome, metric };
        let felt = (ended.intended_ns, ended.done_ns);
        self.put_with(at, tag(Metric::Response), felt, added.ns);
        if let Some(completed_ns) = completed_ns {
            let added_ns = self.touch.until_final(added, ended.intended_ns, completed_ns);
            let whole = (ended.intended_ns, completed_ns);
            self.put_with(at, tag(Metric::Completed), whole, added_ns);
            // In time it may have been final in time.
            let missed = acknowledged && !good && !may_differ;
            if missed && within(completed_ns.saturating_sub(added_ns)) {
                *self.row(at, operation).touched_missed.get_or_insert(0) += 1;
            }
        }
    }

    /// Counts one whose outcome may be another on a machine that is never late.
    fn touch(&mut self, at: u32, operation: Operation, ok: bool, good: bool) {
        let row = self.row(at, operation);
        *row.touched_ok.get_or_insert(0) += u64::from(ok);
        *row.touched_failed.get_or_insert(0) += u64::from(!ok);
        if let Some(count) = &mut row.touched_good {
            *count += u64::from(good);
        }
    }

    /// Keeps a time, and what it may have been without what the machine added.
    fn put_with(&mut self, at: u32, of: Tag, (from_ns, to_ns): (u64, u64), added_ns: u64) {
        self.put(at, of, from_ns, to_ns);
        if let Some((touched, least)) = of.metric.touched().filter(|_| added_ns > 0) {
            self.put(at, Tag { metric: touched, ..of }, from_ns, to_ns);
            let least_ns = to_ns.saturating_sub(added_ns).max(from_ns);
            self.put(at, Tag { metric: least, ..of }, from_ns, least_ns);
        }
    }

    /// Keeps a time of an interval.
    fn put(&mut self, at: u32, of: Tag, from_ns: u64, to_ns: u64) {
        let times = self.open.entry(at).or_default();
        let us = to_ns.saturating_sub(from_ns) / 1_000;
        match times.iter_mut().find(|(tag, _)| *tag == of) {
            Some((_, values)) => values.push(us),
            None => times.push((of, vec![us])),
        }
    }

    /// When the order of this attempt became final: with the answer if that said so, else when the
    /// ledger says.
    fn completed_ns(&self, a: &Attempt) -> Option<u64> {
        if a.operation != Operation::Place {
            return None;
        }
        if a.receipt.is_final() {
            return Some(a.done_ns);
        }
        let settled_us = self.settled.get(a.key.as_str())?;
        u64::try_from(*settled_us).ok().map(|us| us * 1_000)
    }

    /// Writes the intervals before `second`.
    fn write_until(&mut self, second: u32, log: &mut Log<'_>) -> anyhow::Result<()> {
        while let Some(entry) = self.open.first_entry().filter(|e| *e.key() < second) {
            let (t_s, mut times) = entry.remove_entry();
            times.sort_by_key(|(tag, _)| *tag);
            let mut by_operation: BTreeMap<Operation, Felt> = BTreeMap::new();
            for (tag, values) in times {
                let mut histogram = Histogram::<u64>::new_with_bounds(1, latency::MAX_US, 3)?;
                for value in values {
                    histogram.saturating_record(value.max(1));
                }
                if Felt::counts(tag.metric) {
                    let felt = match by_operation.entry(tag.operation) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(new) => new.insert(Felt::new()?),
                    };
                    felt.add(tag.metric, &histogram)?;
                }
                let text = tag.to_string();
                let start = Duration::from_secs(u64::from(t_s));
                let length = Duration::from_secs(u64::from(self.length_s));
                log.write_histogram(&histogram, start, length, LogTag::new(&text))
                    .map_err(|e| anyhow::anyhow!("cannot write the histogram log: {e:?}"))?;
            }
            for (operation, felt) in by_operation {
                felt.fill(self.row(t_s, operation))?;
            }
        }
        Ok(())
    }

    fn finish(mut self, folder: &Path) -> anyhow::Result<Digested> {
        self.add_levels();
        let mut rows: Vec<_> = self.rows.into_values().flatten().map(|(_, row)| row).collect();
        rows.sort_by_key(|row| (row.t_s, row.operation));
        self.digested.touched.outcomes = settle(&mut rows, self.length_s);
        write_csv(&folder.join(files::TIMELINE), &rows)?;
        Ok(self.digested)
    }

    /// Levels at the end of every interval are sums of the changes up to it.
    fn add_levels(&mut self) {
        let Some(last) = self.rows.keys().next_back().copied() else { return };
        let flows = std::mem::take(&mut self.flows);
        let operations: BTreeSet<Operation> =
            flows.values().flatten().map(|(operation, _)| *operation).collect();
        for operation in operations {
            let mut sum = Flow::default();
            for t_s in (0..=last).step_by(self.length_s as usize) {
                let mut of_second = flows.get(&t_s).into_iter().flatten();
                let change = of_second.find(|(of, _)| *of == operation);
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
mod tests;

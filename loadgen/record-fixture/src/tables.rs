//! Writes invented events as a trial's files.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag as LogTag};

use super::shop::Event;
use record::latency::{Metric, Tag, histogram};
use record::{Operation, Outcome, TimelineRow};

const OPERATIONS: [Operation; 2] = [Operation::Get, Operation::Place];

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round().max(1.0) as u64
}

pub(super) fn latencies(path: &Path, events: &[Event]) -> anyhow::Result<()> {
    let mut intervals = BTreeMap::<(u32, Tag), Histogram<u64>>::new();
    for event in events {
        let mut add = |metric, seconds| -> anyhow::Result<()> {
            let Event { operation, outcome, .. } = *event;
            let key = (event.intended_s as u32, Tag { operation, outcome, metric });
            let all = match intervals.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(histogram()?),
            };
            Ok(all.record(micros(seconds))?)
        };
        add(Metric::Response, event.done_s - event.intended_s)?;
        add(Metric::Service, event.done_s - event.sent_s)?;
        add(Metric::Lag, event.sent_s - event.intended_s)?;
        if let Some(final_s) = event.final_s {
            add(Metric::Completed, final_s - event.intended_s)?;
        }
    }
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("[Histogram log format version 1.3]").with_max_value_divisor(1e6);
    let mut log = builder.begin_log_with(&mut bytes, &mut serializer)?;
    for ((second, tag), all) in &intervals {
        let (start, tag) = (Duration::from_secs(u64::from(*second)), tag.to_string());
        log.write_histogram(all, start, Duration::from_secs(1), LogTag::new(&tag))
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    }
    let legend = b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
                   \"Interval_Compressed_Histogram\"\n";
    fs::write(path, [legend.as_slice(), &bytes].concat())?;
    Ok(())
}

pub(super) fn rows<T: serde::Serialize>(path: &Path, rows: &[T]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.flush()?)
}

/// One row per second and operation until nothing is open any more.
pub(super) fn timeline(events: &[Event], end_s: f64) -> Vec<TimelineRow> {
    let last = events.iter().map(|event| event.final_s.unwrap_or(event.done_s)).fold(0.0, f64::max);
    let seconds = 0..(last.min(end_s).ceil() as u32);
    seconds.flat_map(|t_s| OPERATIONS.map(|operation| row(events, t_s, operation))).collect()
}

fn row(events: &[Event], t_s: u32, operation: Operation) -> TimelineRow {
    let (from, to) = (f64::from(t_s), f64::from(t_s) + 1.0);
    let inside = |at: f64| from <= at && at < to;
    let of: Vec<_> = events.iter().filter(|event| event.operation == operation).collect();
    let began: Vec<_> = of.iter().filter(|event| inside(event.intended_s)).collect();
    let mut times: Vec<_> =
        began.iter().map(|event| (event.done_s - event.intended_s) * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times.get(((times.len() as f64 * q) as usize).min(times.len().max(1) - 1));
    let count = |outcome| began.iter().filter(|event| event.outcome == outcome).count() as u64;
    let open = |event: &&&Event| event.sent_s < to && event.done_s >= to;
    let pending = |event: &&&Event| {
        event.done_s < to
            && event.outcome == Outcome::Ok
            && event.final_s.is_some_and(|at| at >= to)
    };
    TimelineRow {
        t_s,
        operation,
        offered: began.len() as u64,
        attempts: Some(began.len() as u64),
        sent: of.iter().filter(|event| inside(event.sent_s)).count() as u64,
        ok: count(Outcome::Ok),
        failed: count(Outcome::Failed),
        unknown: count(Outcome::Unknown),
        answered: of.iter().filter(|e| e.outcome == Outcome::Ok && inside(e.done_s)).count() as u64,
        completed: of.iter().filter(|event| event.final_s.is_some_and(inside)).count() as u64,
        p50_ms: at(0.5).copied(),
        p90_ms: at(0.9).copied(),
        p99_ms: at(0.99).copied(),
        max_ms: times.last().copied(),
        in_flight: of.iter().filter(open).count() as u64,
        backlog: of.iter().filter(pending).count() as u64,
        ..TimelineRow::default()
    }
}

//! Whether a long load leaves a system as it was: what it uses per order and what it holds, in the first
//! third against the last. It reads a record alone; that nothing was harmed meanwhile is the scenario's
//! business.

use std::collections::BTreeMap;

use record::latency::Metric;
use record::read::Trial;
use record::{FileRow, GENERATOR, Operation, Outcome, Phase, ResourceRow};
use scenario::{FIRST_THIRD, LAST_THIRD};

/// A difference up to this share is none.
pub const TOLERANCE: f64 = 0.1;
/// A hundred thousand percent.
const SHARE_MAX: f64 = 1e3;
const PROVIDER: &str = "provider";
const MIB: f64 = 1_048_576.0;
/// A page more in a small process is no trend, nor is a connection more.
const MEMORY_SLACK_BYTES: f64 = 2.0 * MIB;
const DESCRIPTORS_SLACK: f64 = 4.0;
/// So much more in a file that is nearly empty: a log's lines.
const FILE_SLACK_BYTES: f64 = MIB;

/// What is held against itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// What must stay.
    pub rows: Vec<Row>,
    /// What must grow with the orders that it holds, per order.
    pub growing: Vec<Growing>,
}

/// One quantity in both thirds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is.
    pub what: String,
    /// Its unit.
    pub unit: Unit,
    /// In the first third.
    pub first: f64,
    /// In the last.
    pub last: f64,
    /// So much more or less is none, in its unit.
    slack: f64,
    /// Whether it is held from moment to moment, as memory is: then less of it is no drift.
    is_held: bool,
    /// Whether it speaks of the system, and not of the card network or the generator.
    pub is_system: bool,
}

/// What a quantity is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
}

/// A file, or a folder of them, that grows.
#[derive(Clone, Debug, PartialEq)]
pub struct Growing {
    /// Its name below the trial's folder.
    pub file: String,
    /// Its size when the first third began.
    pub from_bytes: u64,
    /// Its size when the last third ended.
    pub to_bytes: u64,
    /// Growth per completed order in the first third, bytes.
    pub first: f64,
    /// In the last.
    pub last: f64,
}

impl Row {
    /// The last third's value less the first one's, as a share of that; 0 within the slack.
    #[must_use]
    pub fn change(&self) -> f64 {
        let change = self.last - self.first;
        if change.abs() <= self.slack { 0.0 } else { share(change, self.first) }
    }

    /// The change as far as it is drift. Connections that stay idle are as many as the last stall needed: fewer
    /// of them say nothing of the system.
    #[must_use]
    pub fn drift(&self) -> f64 {
        let change = self.change();
        if self.is_held { change.max(0.0) } else { change.abs() }
    }
}

impl Growing {
    /// Of the growth per order: a file that grows with its orders has none.
    #[must_use]
    pub fn change(&self) -> f64 {
        share(self.last - self.first, self.first)
    }

    /// Growth per completed order over both thirds, bytes.
    #[must_use]
    pub fn per_order(&self) -> f64 {
        f64::midpoint(self.first, self.last)
    }
}

impl Drift {
    /// The largest drift of what belongs to the system.
    #[must_use]
    pub fn worst(&self) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| row.is_system).map(Row::drift);
        let files = self.growing.iter().map(|file| file.change().abs());
        rows.chain(files).max_by(f64::total_cmp)
    }

    /// Of a trial; nothing if it has no such thirds, or nobody was watched.
    #[must_use]
    pub fn of(trial: &Trial) -> Option<Self> {
        let third = |name: &str| Third::of(trial, name);
        let (first, last) = (third(FIRST_THIRD)?, third(LAST_THIRD)?);
        if trial.resources.is_empty() {
            return None;
        }
        let mut rows = Vec::new();
        rows.extend(row(
            "CPU per completed order",
            Unit::Ms,
            0.0,
            [&first, &last].map(Third::cost_ms),
        ));
        for (what, operation, metric) in [
            ("accepted p99", Operation::Place, Metric::Response),
            ("completed p99", Operation::Place, Metric::Completed),
            ("look-up p99", Operation::Get, Metric::Response),
        ] {
            let p99 = [&first, &last].map(|third| third.p99_ms(operation, metric));
            rows.extend(row(what, Unit::Ms, 0.0, p99));
        }
        for process in processes(trial) {
            let is_system = is_system(trial, process);
            let usual = |of: fn(&ResourceRow) -> f64| [&first, &last].map(|t| t.usual(process, of));
            let memory = row(
                &format!("memory of {process}"),
                Unit::Bytes,
                MEMORY_SLACK_BYTES,
                usual(|row| row.rss_bytes as f64),
            );
            let descriptors = row(
                &format!("descriptors of {process}"),
                Unit::Count,
                DESCRIPTORS_SLACK,
                usual(|row| f64::from(row.fds)),
            );
            let held = memory.into_iter().chain(descriptors);
            rows.extend(held.map(|row| Row { is_system, is_held: true, ..row }));
        }
        let mut growing = Vec::new();
        for file in files(trial) {
            match file_of(file, &first, &last) {
                Some(File::Stays(row)) => rows.push(row),
                Some(File::Grows(file)) => growing.push(file),
                None => {}
            }
        }
        Some(Self { rows, growing })
    }
}

/// Of nothing any part is more than could be said.
fn share(part: f64, whole: f64) -> f64 {
    let share = if whole > 0.0 { part / whole } else { part.signum() * SHARE_MAX };
    share.clamp(-SHARE_MAX, SHARE_MAX)
}

fn row(what: &str, unit: Unit, slack: f64, [first, last]: [Option<f64>; 2]) -> Option<Row> {
    let (first, last) = (first?, last?);
    Some(Row { what: what.to_owned(), unit, first, last, slack, is_held: false, is_system: true })
}

/// The processes that were watched, the generator last.
fn processes(trial: &Trial) -> Vec<&str> {
    let mut names: Vec<&str> = trial.resources.iter().map(|row| row.process.as_str()).collect();
    names.sort_unstable_by_key(|name| (*name == GENERATOR, *name));
    names.dedup();
    names
}

/// What plays anything beside the card network; a process of ours plays nothing.
fn is_system(trial: &Trial, process: &str) -> bool {
    let roles = trial.manifest.roles.get(process);
    roles.is_some_and(|roles| roles.iter().any(|role| role != PROVIDER))
}

fn files(trial: &Trial) -> Vec<&str> {
    let mut names: Vec<&str> = trial.files.iter().map(|row| row.file.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A file either stays as it is, or grows with the orders.
enum File {
    Stays(Row),
    Grows(Growing),
}

fn file_of(file: &str, first: &Third<'_>, last: &Third<'_>) -> Option<File> {
    let means = [first, last].map(|third| third.mean_bytes(file));
    let row = row(&format!("size of {file}"), Unit::Bytes, FILE_SLACK_BYTES, means)?;
    if row.change().abs() <= TOLERANCE {
        return Some(File::Stays(row));
    }
    let (from, to) = (first.ends_bytes(file)?, last.ends_bytes(file)?);
    let per_order = |third: &Third<'_>, (from, to): (u64, u64)| {
        Some((to as f64 - from as f64) / third.completed().filter(|orders| *orders > 0.0)?)
    };
    Some(File::Grows(Growing {
        file: file.to_owned(),
        from_bytes: from.0,
        to_bytes: to.1,
        first: per_order(first, from)?,
        last: per_order(last, to)?,
    }))
}

/// A third of a trial's load.
struct Third<'t> {
    trial: &'t Trial,
    index: usize,
    phase: &'t Phase,
}

impl<'t> Third<'t> {
    fn of(trial: &'t Trial, name: &str) -> Option<Self> {
        let index = trial.manifest.phases.iter().position(|phase| phase.name == name)?;
        Some(Self { trial, index, phase: &trial.manifest.phases[index] })
    }

    /// Whether an interval that ends then lies in it.
    fn holds(&self, t_s: f64) -> bool {
        f64::from(self.phase.from_s) < t_s && t_s <= f64::from(self.phase.to_s)
    }

    /// Orders that became final in it.
    fn completed(&self) -> Option<f64> {
        let within = |t_s: u32| (self.phase.from_s..self.phase.to_s).contains(&t_s);
        let places = self.trial.timeline.iter().filter(|row| row.operation == Operation::Place);
        let rows = places.filter(|row| within(row.t_s));
        let completed: u64 = rows.map(|row| row.completed).sum();
        (completed > 0).then_some(completed as f64)
    }

    fn cost_ms(&self) -> Option<f64> {
        let rows = self.trial.resources.iter().filter(|row| self.holds(row.t_s));
        let own = rows.filter(|row| is_system(self.trial, &row.process));
        let cpu_s: f64 = own.map(|row| row.cpu_s).sum();
        (cpu_s > 0.0).then_some(cpu_s * 1e3 / self.completed()?)
    }

    fn p99_ms(&self, operation: Operation, metric: Metric) -> Option<f64> {
        let ok = |outcome: Outcome| outcome == Outcome::Ok;
        let times = self.trial.latencies.times(self.index, operation, metric, ok);
        let endless = match metric {
            Metric::Completed => self.trial.never_final(self.index, operation),
            _ => 0,
        };
        times.quantile_with_endless(0.99, endless).map(|us| us as f64 / 1e3)
    }

    /// The median over its samples of a process. A stall opens connections that stay for a minute: that
    /// moves a mean, while what leaks is there in every sample.
    fn usual(&self, process: &str, of: fn(&ResourceRow) -> f64) -> Option<f64> {
        let rows = self.trial.resources.iter();
        let rows = rows.filter(|row| row.process == process && self.holds(row.t_s));
        let mut values: Vec<f64> = rows.map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    fn sizes(&self, file: &str) -> impl Iterator<Item = &'t FileRow> {
        let phase = self.phase;
        let inside = move |t_s: f64| f64::from(phase.from_s) <= t_s && t_s <= f64::from(phase.to_s);
        self.trial.files.iter().filter(move |row| row.file == file && inside(row.t_s))
    }

    fn mean_bytes(&self, file: &str) -> Option<f64> {
        mean(self.sizes(file).map(|row| row.bytes as f64))
    }

    /// The first and the last size that were seen of a file.
    fn ends_bytes(&self, file: &str) -> Option<(u64, u64)> {
        let sizes: BTreeMap<u64, u64> =
            self.sizes(file).map(|row| ((row.t_s * 1e3) as u64, row.bytes)).collect();
        Some((*sizes.first_key_value()?.1, *sizes.last_key_value()?.1))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests;

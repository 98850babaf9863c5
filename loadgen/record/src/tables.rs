//! The record's CSV tables, one struct per row.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{Operation, old_faults};

/// `timeline.csv`: one interval of one operation. Counts by outcome and percentiles belong to the
/// interval of the *intended* start; `answered` and `completed` to that in which they happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimelineRow {
    /// Start of the interval, seconds since the start of the schedule.
    pub t_s: u32,
    /// Whose requests are counted.
    pub operation: Operation,
    /// Arrivals that the schedule intends.
    pub offered: u64,
    /// How often these were asked for in all, retries included; not in older records.
    #[serde(default)]
    pub attempts: Option<u64>,
    /// Requests written, by the instant of sending.
    pub sent: u64,
    /// Answered as asked.
    pub ok: u64,
    /// Certainly without effect.
    pub failed: u64,
    /// May have had an effect.
    pub unknown: u64,
    /// Never sent.
    pub dropped: u64,
    /// Open when the drain ended.
    pub unfinished: u64,
    /// Ok answers, by the instant of the answer.
    pub answered: u64,
    /// Orders that reached a final state, by that instant (place only).
    pub completed: u64,
    /// Orders offered here that were accepted and final within the objective (place only); not in
    /// records of format 1.
    #[serde(default)]
    pub good: Option<u64>,
    /// Ok, but sent late or after others that were: it may have failed in time; not in older records.
    #[serde(default)]
    pub touched_ok: Option<u64>,
    /// Not ok, and sent so, or never: it may have been ok in time.
    #[serde(default)]
    pub touched_failed: Option<u64>,
    /// Good, and sent so (place only).
    #[serde(default)]
    pub touched_good: Option<u64>,
    /// Not good, but it may have been in time (place only).
    #[serde(default)]
    pub touched_missed: Option<u64>,
    /// Median response time, ms; empty without samples. Unfinished ones enter as "at least".
    pub p50_ms: Option<f64>,
    /// 90th percentile, ms.
    pub p90_ms: Option<f64>,
    /// 99th percentile, ms.
    pub p99_ms: Option<f64>,
    /// The largest, ms.
    pub max_ms: Option<f64>,
    /// The median without what the measuring machine may have added, ms; empty where that is nothing, and in
    /// older records.
    #[serde(default)]
    pub p50_least_ms: Option<f64>,
    /// The same of the 99th percentile, ms.
    #[serde(default)]
    pub p99_least_ms: Option<f64>,
    /// Requests open at the end of the interval.
    pub in_flight: u64,
    /// Orders accepted but not final at the end of the interval (place only).
    pub backlog: u64,
}

/// `resources.csv`: one process, with all that descends from it, in one interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceRow {
    /// End of the interval, seconds since the start of the schedule.
    pub t_s: f64,
    /// The process's name in the system file.
    pub process: String,
    /// The first one's id at that time: a restarted process has another.
    pub pid: u32,
    /// CPU seconds spent in the interval.
    pub cpu_s: f64,
    /// Resident set, bytes; of several processes the sum of their proportional shares.
    pub rss_bytes: u64,
    /// Threads.
    pub threads: u32,
    /// Open file descriptors.
    pub fds: u32,
    /// Of how many processes it consists; not in older records.
    #[serde(default)]
    pub processes: Option<u32>,
}

/// `resources.csv` names the generator's own process so.
pub const GENERATOR: &str = "loadgen";

/// `files.csv`: a file of the trial's folder, or all in a folder of it, at an instant; not in older records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileRow {
    /// Seconds since the start of the schedule.
    pub t_s: f64,
    /// Its name below the trial's folder: data/…, outside/…, logs/….
    pub file: String,
    /// Its size, bytes.
    pub bytes: u64,
}

/// `faults.csv`: one fault, on the schedule's clock. An empty instant has not been seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRow {
    /// kill, pause, provider, ….
    pub kind: String,
    /// The role that it harms.
    pub harm: String,
    /// The processes that play it, separated by spaces.
    pub processes: String,
    /// The parameters of its kind, JSON; empty without any.
    #[serde(default)]
    pub parameters: String,
    /// When the injection was ordered, seconds.
    pub commanded_s: f64,
    /// When its effect was seen, seconds.
    pub effective_s: Option<f64>,
    /// How it was seen.
    pub effect_proof: String,
    /// When the healing was ordered, seconds.
    pub heal_commanded_s: Option<f64>,
    /// When the healing was seen, seconds.
    pub healed_s: Option<f64>,
    /// How it was seen.
    pub heal_proof: String,
    /// Requests open at the onset.
    pub in_flight_at_onset: u64,
    /// Orders in work at the onset, by the ledger: accepted and not settled; `None` in older records.
    #[serde(default)]
    pub in_work_at_onset: Option<u64>,
    /// What the harmed is meanwhile, to follow "the payments role is"; empty in older records.
    #[serde(default)]
    pub state: String,
    /// Whether an answer of meanwhile may be of something that is lost by right; `None` in older records.
    #[serde(default)]
    pub voids_answers: Option<bool>,
}

impl FaultRow {
    /// What the harmed is meanwhile, to follow "the payments role is".
    #[must_use]
    pub fn state(&self) -> Cow<'_, str> {
        match (self.state.as_str(), old_faults::state(&self.kind)) {
            ("", Some(state)) => state.into(),
            ("", None) => format!("under the fault {}", self.kind).into(),
            (state, _) => state.into(),
        }
    }

    /// Whether an answer of meanwhile may be of something that is lost by right.
    #[must_use]
    pub fn voids_answers(&self) -> bool {
        self.voids_answers.unwrap_or_else(|| old_faults::voids_answers(&self.kind))
    }

    /// Whether it is known that nothing was open or in work at the onset: then it met an idle system.
    #[must_use]
    pub fn met_nothing(&self) -> bool {
        self.effective_s.is_some()
            && self.in_flight_at_onset == 0
            && self.in_work_at_onset == Some(0)
    }
}

/// Writes a table; its header also if there are no rows, so that an empty table is told from a torn one.
pub fn write_csv<T: Serialize + Default>(path: &Path, rows: &[T]) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let file = File::create(path).with_context(cannot)?;
    let mut out = write_rows(io::BufWriter::new(file), rows).with_context(cannot)?;
    out.flush().with_context(cannot)
}

/// Header and rows.
fn write_rows<T, W>(mut out: W, rows: &[T]) -> io::Result<W>
where
    T: Serialize + Default,
    W: Write,
{
    out.write_all(&header::<T>()?)?;
    let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    rows.iter().try_for_each(|row| table.serialize(row))?;
    table.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// The first of the lines that a row of defaults is written as.
pub fn header<T: Serialize + Default>() -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.serialize(T::default())?;
    let mut text = table.into_inner().map_err(csv::IntoInnerError::into_error)?;
    let end = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
    text.truncate(end);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_rows_has_its_header_and_is_read_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.csv");
        write_csv::<FaultRow>(&path, &[]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("kind,harm,processes,parameters,commanded_s,"), "{text}");
        assert_eq!(text.lines().count(), 1);
        let row = FaultRow { kind: "kill".to_owned(), ..FaultRow::default() };
        write_csv(&path, std::slice::from_ref(&row)).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.starts_with(&text) && written.lines().count() == 2, "{written}");
        let rows: Vec<FaultRow> =
            csv::Reader::from_path(&path).unwrap().deserialize().map(Result::unwrap).collect();
        assert_eq!(rows, [row]);
    }

    #[test]
    fn a_fault_of_an_older_record_is_told_by_its_kind() {
        let of = |kind: &str, rest: &str| {
            let head = "kind,harm,processes,commanded_s,effective_s,effect_proof,heal_commanded_s,\
                        healed_s,heal_proof,in_flight_at_onset";
            let more = if rest.is_empty() { "" } else { ",state,voids_answers" };
            let text = format!("{head}{more}\n{kind},disk,,1,2,,3,4,,0{rest}\n");
            let mut table = csv::Reader::from_reader(text.as_bytes());
            let row: FaultRow = table.deserialize().next().unwrap().unwrap();
            (row.state().into_owned(), row.voids_answers())
        };
        assert_eq!(of("power-cut", ""), ("without power".to_owned(), true));
        assert_eq!(of("kill", ""), ("dead".to_owned(), false));
        assert_eq!(of("provider", ""), ("impaired".to_owned(), false));
        assert_eq!(of("new", ""), ("under the fault new".to_owned(), false));
        assert_eq!(of("new", ",flooded,true"), ("flooded".to_owned(), true));
        assert_eq!(of("power-cut", ",dark,false"), ("dark".to_owned(), false));
    }
}

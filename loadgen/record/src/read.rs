//! A results folder read back: all that a report may know. It knows no system and no chart.

mod astray;
mod broken;
mod folders;
mod latencies;
mod packed;
mod spectrum;
pub mod table;
mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use broken::Broken;
use folders::subfolders;
pub use latencies::{Latencies, Moment};
pub use spectrum::Spectrum;
pub use spectrum::rank;
pub use validate::Validate;

use super::latency::Metric;
use super::seal;
use super::{
    FORMAT, FORMAT_OLDEST, FaultRow, FileRow, Manifest, Met, Moved, Operation, Outcome,
    ResourceRow, TimelineRow, Verdict,
};
use crate::files;

/// Everything below `results/<run>/` that reports use.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The folder's own name.
    pub name: String,
    /// `environment.json`; empty if there is none.
    pub environment: BTreeMap<String, String>,
    /// The trials, by scenario, then by the systems' order, then by repetition.
    pub trials: Vec<Trial>,
    /// Trial folders without a manifest (relative): the trial ended before it could be written.
    pub without_manifest: Vec<PathBuf>,
}

/// What stands between a trial's number and how often it has been laid aside, in the name of its folder.
pub const LAID_ASIDE: &str = "-void-";
/// The same where its block was cut off: the run was stopped or killed, and what is compared was run again together.
pub const CUT_OFF: &str = "-cut-off-";

/// One trial's files.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// The folder, relative to the run's.
    pub folder: PathBuf,
    /// `manifest.json`.
    pub manifest: Manifest,
    /// `latency.hlog`, merged by phase.
    pub latencies: Latencies,
    /// `timeline.csv`.
    pub timeline: Vec<TimelineRow>,
    /// `resources.csv`.
    pub resources: Vec<ResourceRow>,
    /// `files.csv`; empty if there is none.
    pub files: Vec<FileRow>,
    /// `faults.csv`; empty if there is none.
    pub faults: Vec<FaultRow>,
    /// `audit.json`; `None` if it was not written.
    pub audit: Option<Verdict>,
    /// `thresholds.json`; empty if nothing was promised or the trial ended early.
    pub thresholds: Vec<Met>,
    /// `moved.json`; `None` if no orders were moved.
    pub moved: Option<Moved>,
    /// Its raw tables were left out of a record that is kept for good.
    pub pared: bool,
}

impl Run {
    /// Reads `path`.
    ///
    /// # Errors
    /// [`Broken`] names the first file that cannot be read, the line, what was expected and found,
    /// and what to do. A missing audit and the missing tables of an interrupted trial are no error.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut run = Self { name: name_of(path), ..Self::default() };
        run.environment = table::json(&path.join(files::ENVIRONMENT))?.unwrap_or_default();
        let pared = path.join(files::REFERENCE).is_file();
        for folder in trial_folders(path)? {
            let relative = folder.strip_prefix(path).unwrap_or(&folder).to_path_buf();
            match Trial::read(&folder)? {
                Some(trial) => run.trials.push(Trial { folder: relative, pared, ..trial }),
                None => run.without_manifest.push(relative),
            }
        }
        run.trials.sort_by(|a, b| a.key().cmp(&b.key()));
        if run.trials.is_empty() {
            return Err(astray::explain(path, &run.without_manifest).into());
        }
        Ok(run)
    }

    /// When the first of its trials began, µs since the epoch.
    #[must_use]
    pub fn began_us(&self) -> i64 {
        self.trials.iter().map(|trial| trial.manifest.started_at_us).min().unwrap_or_default()
    }
}

impl Trial {
    /// Reads one trial's folder; `None` if it holds no manifest.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(manifest) = manifest(folder)? else { return Ok(None) };
        let lenient = manifest.validity.interrupted;
        sealed(folder, &manifest)?;
        Ok(Some(Self {
            folder: folder.to_path_buf(),
            latencies: Latencies::read(&folder.join(files::LATENCIES), &manifest.phases, lenient)?,
            timeline: table::rows(&folder.join(files::TIMELINE), lenient)?,
            resources: table::rows(&folder.join(files::RESOURCES), lenient)?,
            files: table::rows(&folder.join(files::FILE_SIZES), true)?,
            faults: table::rows(&folder.join(files::FAULTS), true)?,
            audit: table::json(&folder.join(files::AUDIT))?,
            thresholds: table::json(&folder.join(files::THRESHOLDS))?.unwrap_or_default(),
            moved: table::json(&folder.join(files::MOVED))?,
            pared: false,
            manifest,
        }))
    }

    /// Whether it was run again, because the measuring machine had spoilt it or its block was cut off: then it is in no
    /// figure.
    #[must_use]
    pub fn is_laid_aside(&self) -> bool {
        self.is_named(LAID_ASIDE) || self.is_cut_off()
    }

    /// Whether it was run again because its block was cut off.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.is_named(CUT_OFF)
    }

    fn is_named(&self, part: &str) -> bool {
        self.folder.file_name().is_some_and(|name| name.to_string_lossy().contains(part))
    }

    /// The operation that the report is about: `place`, or the busiest of a load without orders.
    #[must_use]
    pub fn main_operation(&self) -> Operation {
        let requests = &self.manifest.requests;
        if requests.is_empty() || requests.contains_key(&Operation::Place) {
            return Operation::Place;
        }
        let busiest = requests.iter().max_by_key(|(_, counts)| counts.scheduled);
        busiest.map_or(Operation::Place, |(operation, _)| *operation)
    }

    /// Whether it is about orders, and not about requests of another kind.
    #[must_use]
    pub fn has_orders(&self) -> bool {
        self.main_operation() == Operation::Place
    }

    /// How many accepted requests of an operation in a phase (by its number) never reached a final
    /// state; 0 where nobody could say: of operations that are no orders, and without an audit.
    #[must_use]
    pub fn never_final(&self, phase: usize, operation: Operation) -> u64 {
        let ok = |outcome: Outcome| outcome == Outcome::Ok;
        let count = |metric| self.latencies.times(phase, operation, metric, ok).count();
        let (accepted, completed) = (count(Metric::Response), count(Metric::Completed));
        let is_audited = self.audit.as_ref().is_some_and(|audit| audit.counts.asked > 0);
        let is_watched = completed > 0 || (operation == Operation::Place && is_audited);
        if is_watched { accepted.saturating_sub(completed) } else { 0 }
    }

    fn key(&self) -> (&str, u32, &str, u32) {
        let manifest = &self.manifest;
        (&manifest.scenario, manifest.system_order, &manifest.system, manifest.trial)
    }
}

/// The tables that a report draws.
const DRAWN: [&str; 5] =
    [files::LATENCIES, files::TIMELINE, files::RESOURCES, files::FILE_SIZES, files::FAULTS];

/// Whether they are those that the trial wrote, as far as the record says.
fn sealed(folder: &Path, manifest: &Manifest) -> Result<(), Broken> {
    let seals = manifest.tables.as_ref();
    let breach = |name| Some((name, seal::breach_of(folder, name, seals)?));
    DRAWN.into_iter().find_map(breach).map_or(Ok(()), |(name, breach)| {
        let expected = "the table that the trial wrote and sealed";
        Err(Broken::at(&folder.join(name)).expected(expected).found(&breach))
    })
}

/// The manifest of a trial's folder; `None` if it holds none.
///
/// # Errors
/// If it does not parse or is of a format that is not read any more.
pub fn manifest(folder: &Path) -> anyhow::Result<Option<Manifest>> {
    let path = folder.join(files::MANIFEST);
    let Some(manifest) = table::json::<Manifest>(&path)? else { return Ok(None) };
    if !(FORMAT_OLDEST..=FORMAT).contains(&manifest.format) {
        return Err(Broken::at(&path)
            .expected(&format!("a record of format {FORMAT_OLDEST} to {FORMAT}"))
            .found(&format!("format {}", manifest.format))
            .remedy("use the revision of the report that belongs to the record")
            .into());
    }
    Ok(Some(manifest))
}

/// Whether the record of a trial that is planned like this could be read back.
///
/// # Errors
/// If it could not: better said before the load than after it.
pub fn readable(planned: &Manifest) -> anyhow::Result<()> {
    let unreadable = |found| anyhow::anyhow!("the record of this load could not be read: {found}");
    planned.check().map_err(unreadable)
}

/// The trials' folders with their manifests: `path` itself if it is one, else those below it.
///
/// # Errors
/// If a folder or a manifest cannot be read, or there is none.
pub fn manifests(path: &Path) -> anyhow::Result<Vec<(PathBuf, Manifest)>> {
    if let Some(manifest) = manifest(path)? {
        return Ok(vec![(path.to_path_buf(), manifest)]);
    }
    let mut found = Vec::new();
    for folder in trial_folders(path)? {
        found.extend(manifest(&folder)?.map(|manifest| (folder, manifest)));
    }
    if found.is_empty() {
        return Err(astray::explain(path, &[]).into());
    }
    Ok(found)
}

fn name_of(path: &Path) -> String {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    full.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Folders three levels down: scenario, system, trial. `charts/` and other folders hold none.
fn trial_folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = vec![path.to_path_buf()];
    for _ in ["scenario", "system", "trial"] {
        let mut below = Vec::new();
        for folder in &folders {
            below.extend(subfolders(folder)?);
        }
        folders = below;
    }
    Ok(folders)
}

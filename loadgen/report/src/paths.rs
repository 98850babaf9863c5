//! The files of a report.

use std::path::PathBuf;

/// What a report consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// `summary.csv`; of a search `capacity.csv`.
    pub summary: PathBuf,
    /// `report.html`, which needs no other file; for slides it links the pictures beside it.
    pub html: PathBuf,
    /// `README.md`.
    pub readme: PathBuf,
    /// `charts/*.png`.
    pub charts: Vec<PathBuf>,
    /// `SCENARIO/SYSTEM/TRIAL/audit.html`; none of a search, whose trials are many and alike.
    pub audits: Vec<PathBuf>,
}

//! The report: read from records alone, so that it can be redrawn from an old one.
//!
//! It starts nothing, asks nobody and knows no system.

mod audit_page;
mod audit_tables;
mod canvas;
mod capacity_page;
mod charts;
mod compare;
mod differences;
mod embed;
pub mod export;
mod figures;
mod findings;
mod page;
mod palette;
mod panels;
mod pixels;
mod plot;
mod recovery;
mod scale;
mod series;
mod sheet;
mod summary;
#[cfg(test)]
mod tests;
mod words;

use std::path::{Path, PathBuf};

use audit::capacity::replay;
use compare::Comparison;
use page::Page;
use record::atomic_write;
use record::read::Run;

/// What a report consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// `summary.csv`; of a search `capacity.csv`.
    pub summary: PathBuf,
    /// `report.html`, which needs no other file.
    pub html: PathBuf,
    /// `README.md`.
    pub readme: PathBuf,
    /// `charts/*.png`.
    pub charts: Vec<PathBuf>,
    /// `SCENARIO/SYSTEM/TRIAL/audit.html`; none of a search, whose trials are many and alike.
    pub audits: Vec<PathBuf>,
}

/// Writes the report of the results folder `run` into it, each file at once; an older report is
/// replaced.
///
/// # Errors
/// As [`Run::read`]; or a file cannot be written.
pub fn write(run: &Path) -> anyhow::Result<Paths> {
    let record = Run::read(run)?;
    if let Some(settings) = replay::settings(run)? {
        return capacity_page::write(run, &record, settings);
    }
    let comparison = Comparison::of(&record);
    let paths = Paths {
        summary: run.join("summary.csv"),
        html: run.join("report.html"),
        readme: run.join("README.md"),
        charts: Vec::new(),
        audits: Vec::new(),
    };
    summary::write(&record, &paths.summary)?;
    let charts = charts::draw_all(&comparison, &page::source(&record), &run.join("charts"))?;
    let audits = audit_page::write_all(run, &record, &page::source(&record))?;
    let page = Page::of(&record, &comparison, &charts)?;
    atomic_write::write(&paths.html, page.html()?.as_bytes())?;
    atomic_write::write(&paths.readme, page.readme()?.as_bytes())?;
    let charts = charts.into_iter().map(|chart| chart.path).collect();
    Ok(Paths { charts, audits, ..paths })
}

//! The report: read from records alone, so that it can be redrawn from an old one.
//!
//! It starts nothing, asks nobody and knows no system.

mod audit_page;
mod audit_tables;
pub mod brokers;
mod canvas;
mod capacity_page;
mod charts;
mod compare;
pub mod decided;
mod differences;
mod embed;
mod exclusion;
pub mod export;
mod figure_text;
mod figures;
mod findings;
mod headline;
mod interactive;
mod page;
mod palette;
mod panels;
mod paths;
mod pixels;
mod plot;
pub mod reference;
pub mod runs;
mod scale;
mod series;
mod sheet;
mod summary;
#[cfg(test)]
mod tests;
mod violation_text;
mod words;

use std::path::Path;

use audit::capacity::replay;
use compare::Comparison;
use page::Page;
use record::read::Run;
use record::{atomic_write, files};
use summary::Scorecard;

pub use paths::Paths;

/// The scorecard for a pull request.
const SUMMARY: &str = "summary.md";

/// The scorecard of the results folder `run` for a terminal of 80 columns; empty for a search, which has answers of
/// its own.
///
/// # Errors
/// As [`Run::read`].
pub fn scorecard(run: &Path) -> anyhow::Result<String> {
    if replay::settings(run)?.is_some() {
        return Ok(String::new());
    }
    let record = Run::read(run)?;
    Ok(Scorecard::of(&Comparison::of(&record)).text())
}

/// As [`scorecard`], of the scenarios that claims were asked about, without those of the run's controls.
///
/// # Errors
/// As [`Run::read`]; or the run's plan cannot be read.
pub fn scorecard_of_claims(run: &Path) -> anyhow::Result<String> {
    let plan = decided::plan(run)?.unwrap_or_default();
    let asked = plan.claims.iter().filter(|claim| claim.asked);
    let scenarios: Vec<&str> =
        asked.flat_map(|claim| &claim.cells).map(|cell| cell.scenario.as_str()).collect();
    let record = Run::read(run)?;
    let mut card = Scorecard::of(&Comparison::of(&record));
    card.retain(|scenario| scenarios.contains(&scenario));
    Ok(card.text())
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
        summary: run.join(summary::PHASES),
        html: run.join("report.html"),
        readme: run.join("README.md"),
        charts: Vec::new(),
        audits: Vec::new(),
    };
    summary::write(&record, run)?;
    let card = Scorecard::of(&comparison);
    atomic_write::write(&run.join(SUMMARY), summary::markdown(&record, &card).as_bytes())?;
    let mut charts = charts::draw_all(&comparison, &page::source(&record), &run.join("charts"))?;
    let audits = audit_page::write_all(run, &record, &page::source(&record))?;
    let plan = decided::plan(run)?;
    let mut page = Page::of(&record, &comparison, &charts, plan.is_some())?;
    atomic_write::write(&paths.html, page.html()?.as_bytes())?;
    if run.join(files::REFERENCE).is_file() {
        charts = reference::pared(run, &charts)?;
        page = Page::of(&record, &comparison, &charts, plan.is_some())?;
    }
    atomic_write::write(&paths.readme, page.readme()?.as_bytes())?;
    if let Some(plan) = plan {
        decided::write(run, &plan)?;
    }
    let charts = charts.into_iter().map(|chart| chart.path).collect();
    Ok(Paths { charts, audits, ..paths })
}

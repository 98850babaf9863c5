//! The report: read from records alone.

mod canvas;
mod charts;
mod compare;
mod figures;
#[cfg(test)]
mod fixture;
mod palette;
mod panels;
mod plot;
mod scale;
mod series;
mod sheet;
mod words;

use std::path::{Path, PathBuf};

use crate::record::read::Run;
use compare::Comparison;

/// What a report consists of.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The pictures.
    pub charts: Vec<PathBuf>,
}

/// Writes the report of the results folder `run` into it; an older report is replaced.
///
/// # Errors
/// As [`Run::read`]; or a file cannot be written.
pub fn write(run: &Path) -> anyhow::Result<Paths> {
    let record = Run::read(run)?;
    let comparison = Comparison::of(&record);
    let charts = charts::draw_all(&comparison, "source", &run.join("charts"))?;
    Ok(Paths { charts: charts.into_iter().map(|chart| chart.path).collect() })
}

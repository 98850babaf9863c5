//! A finished record in the formats of other tools: JSON, OpenMetrics, HdrHistogram's `.hgrm`, JUnit's XML, GitHub's
//! annotations, and a page for a pull request.

mod checks;
mod github;
mod hgrm;
mod junit;
mod openmetrics;
#[cfg(test)]
pub mod schema;
pub mod summary;

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::compare::Comparison;
use crate::summary::Scorecard;
use record::read::Run;

pub use summary::{Summary, summarise};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One document, described by docs/summary.schema.json.
    Json,
    /// Text in the OpenMetrics exposition format.
    OpenMetrics,
    /// A percentile spectrum per trial, phase and operation.
    Hgrm,
    /// The scorecard as Markdown, as in summary.md.
    Markdown,
    /// Validity, audit and promises of each trial as test cases.
    Junit,
    /// What is not as it should be, as GitHub's workflow commands.
    Github,
}

/// What an export made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// Text for the standard output.
    Text(String),
    /// Files that were written.
    Files(Vec<PathBuf>),
}

/// Exports the results folder at `path`.
///
/// # Errors
/// If the record cannot be read or a file not written.
pub fn export(path: &Path, format: Format) -> anyhow::Result<Exported> {
    let run = Run::read(path)?;
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&summarise(&run))?;
            Ok(Exported::Text(text + "\n"))
        }
        Format::OpenMetrics => Ok(Exported::Text(openmetrics::text(&summarise(&run)))),
        Format::Hgrm => hgrm_files(&run, path).map(Exported::Files),
        Format::Markdown => {
            let card = Scorecard::of(&Comparison::of(&run));
            Ok(Exported::Text(crate::summary::markdown(&run, &card)))
        }
        Format::Junit => Ok(Exported::Text(junit::text(&run.name, &checks::checks(&run)))),
        Format::Github => Ok(Exported::Text(github::text(&checks::checks(&run)))),
    }
}

fn hgrm_files(run: &Run, path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for trial in &run.trials {
        for (name, text) in hgrm::spectra(trial) {
            let file = path.join(&trial.folder).join(name);
            std::fs::write(&file, text)
                .with_context(|| format!("cannot write {}", file.display()))?;
            written.push(file);
        }
    }
    Ok(written)
}

//! What `--ci` tells a CI service of a finished run.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use loadgen::terminal::{show, warn};
use record::atomic_write;
use report::export::{self, Exported, Format};

/// GitHub's file for a job's summary; it is there in a job alone.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Writes junit.xml beside the report, adds the summary to the job's, and prints annotations: GitHub reads both of
/// a step's outputs.
pub(crate) fn github(folder: &Path, is_document: bool) -> anyhow::Result<()> {
    atomic_write::write(&folder.join("junit.xml"), text(folder, Format::Junit)?.as_bytes())?;
    if let Some(path) = std::env::var_os(SUMMARY) {
        add(Path::new(&path), &text(folder, Format::Markdown)?)?;
    }
    let annotations = text(folder, Format::Github)?;
    if is_document {
        annotations.lines().for_each(warn);
    } else {
        show(&annotations)?;
    }
    Ok(())
}

fn text(folder: &Path, format: Format) -> anyhow::Result<String> {
    match export::export(folder, format)? {
        Exported::Text(text) => Ok(text),
        Exported::Files(_) => anyhow::bail!("expected a format that is one text; found {format:?}"),
    }
}

fn add(path: &Path, text: &str) -> anyhow::Result<()> {
    let cannot = || format!("{SUMMARY}: cannot add to {}", path.display());
    let mut file = OpenOptions::new().append(true).create(true).open(path).with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)
}

//! `loadgen export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use loadgen::terminal::show;
use report::export::{self, Exported, Format};
use report::reference;

use super::ending::command_line;

/// Write a finished record in the formats of other tools
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  loadgen export results/latest --format json | jq '.trials[].validity'\n  loadgen export results/latest --format openmetrics > triptych.prom\n  loadgen export results/latest --format hgrm\n  loadgen export results/latest --format junit > junit.xml\n  loadgen export results/latest --format reference --to results/reference"
)]
pub(crate) struct Args {
    /// A folder that `run` or `attack` wrote
    folder: PathBuf,
    /// hgrm: files beside each trial's record; reference: a folder (--to); the others: on standard output
    #[arg(long, value_enum)]
    format: Form,
    /// Where a reference is written; an older one is replaced
    #[arg(long, value_name = "FOLDER", default_value = "results/reference")]
    to: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// docs/summary.schema.json
    Json,
    /// Of Prometheus, with run and revision as labels
    Openmetrics,
    /// HdrHistogram's percentile spectra
    Hgrm,
    /// A page for a pull request, short
    Markdown,
    /// Promises, audits and validity as test cases
    Junit,
    /// What is not as it should be, as GitHub's annotations
    Github,
    /// A decided run without its raw tables, to be kept for good: at most 25 MB
    Reference,
    /// What README.md shows of a decided run
    Readme,
}

pub(crate) fn export(args: &Args) -> anyhow::Result<ExitCode> {
    let format = match args.format {
        Form::Json => Format::Json,
        Form::Openmetrics => Format::OpenMetrics,
        Form::Hgrm => Format::Hgrm,
        Form::Markdown => Format::Markdown,
        Form::Junit => Format::Junit,
        Form::Github => Format::Github,
        Form::Readme => {
            show(&reference::readme(&args.folder, &args.folder.to_string_lossy())?)?;
            return Ok(ExitCode::SUCCESS);
        }
        Form::Reference => return reference(&args.folder, &args.to),
    };
    print(&args.folder, format)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the record of a decided run that is kept for good, and says where it is.
fn reference(folder: &Path, to: &Path) -> anyhow::Result<ExitCode> {
    let size = reference::make(folder, to, &command_line().join(" "))?;
    show(&format!("{}: {}\n", to.display(), reference::megabytes(size)))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a record, or the names of the files that were written of it.
pub(crate) fn print(folder: &Path, format: Format) -> anyhow::Result<()> {
    match export::export(folder, format)? {
        Exported::Text(text) => show(&text)?,
        Exported::Files(files) => {
            let lines: Vec<String> = files.iter().map(|f| format!("{}\n", f.display())).collect();
            show(&lines.concat())?;
        }
    }
    Ok(())
}

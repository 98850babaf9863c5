//! `loadgen report`.

use std::path::PathBuf;
use std::process::ExitCode;

use loadgen::terminal::show;

/// Write the report of a results folder again, from its records alone
#[derive(clap::Args)]
#[command(after_help = "Example:\n  loadgen report results/latest")]
pub(crate) struct Args {
    /// A folder that `run`, `capacity` or `attack` wrote
    folder: PathBuf,
}

pub(crate) fn write(args: &Args) -> anyhow::Result<ExitCode> {
    report::write(&args.folder)?;
    show(&report::scorecard(&args.folder)?)?;
    show(&format!("{}\n", args.folder.join("report.html").display()))?;
    Ok(ExitCode::SUCCESS)
}

//! `loadgen compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use loadgen::terminal::show;
use report::runs;

/// Compare two runs of different days or revisions, system by system. Runs nothing
#[derive(clap::Args)]
#[command(
    after_help = "Only what can be compared is: trials that were asked the same at the same instants, under the same\nsettings, on the same machine. A difference is claimed where the whole 95 % interval of its pairs\n(6 at least: --trials 6) lies beyond what a machine changes by itself.\n\nExamples:\n  loadgen compare results/2026-11-01T120000Z-host results/latest\n  loadgen compare A B --json | jq '.systems[].figures[] | select(.claim != \"none\")'"
)]
pub(crate) struct Args {
    /// The folder of the earlier run
    a: PathBuf,
    /// The folder of the later run
    b: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn compare(Args { a, b, json }: &Args) -> anyhow::Result<ExitCode> {
    let compared = runs::compare(a, b)?;
    let text =
        if *json { serde_json::to_string_pretty(&compared)? + "\n" } else { compared.text() };
    show(&text)?;
    Ok(ExitCode::SUCCESS)
}

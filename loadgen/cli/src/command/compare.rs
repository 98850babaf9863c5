//! `loadgen compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use loadgen::terminal::show;
use report::{decided, runs};

use super::ending::CONTRADICTED;

/// Compare two runs of different days or revisions, system by system. Runs nothing
#[derive(clap::Args)]
#[command(
    after_help = "Only what can be compared is: trials that were asked the same at the same instants, under the same\nsettings, on the same machine. A difference is claimed where the whole 95 % interval of its pairs\n(6 at least: --trials 6) lies beyond what a machine changes by itself.\n\nWith --verdicts: what both runs decide of claims, on whatever machines. Exit code 6 if a claim that\nboth decided came out otherwise; undecided is no contradiction.\n\nExamples:\n  loadgen compare results/2026-11-01T120000Z-host results/latest\n  loadgen compare results/reference results/latest --verdicts\n  loadgen compare A B --json | jq '.systems[].figures[] | select(.claim != \"none\")'"
)]
pub(crate) struct Args {
    /// The folder of the earlier run
    a: PathBuf,
    /// The folder of the later run
    b: PathBuf,
    /// Set the verdicts of two runs of `loadgen decide` against each other, instead of their figures
    #[arg(long)]
    verdicts: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn compare(Args { a, b, verdicts, json }: &Args) -> anyhow::Result<ExitCode> {
    if *verdicts {
        return compare_verdicts(a, b, *json);
    }
    let compared = runs::compare(a, b)?;
    let text =
        if *json { serde_json::to_string_pretty(&compared)? + "\n" } else { compared.text() };
    show(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn compare_verdicts(a: &Path, b: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let found = decided::against(a, b)?;
    show(&if json { serde_json::to_string_pretty(&found)? + "\n" } else { found.text() })?;
    let code = if found.contradicts() { CONTRADICTED } else { 0 };
    Ok(ExitCode::from(code))
}

//! `loadgen claims`.

use std::path::PathBuf;
use std::process::ExitCode;

use loadgen::decide::list;
use loadgen::terminal::show;

/// List the claims of this folder with their last verdicts
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder of all results, of which the newest verdict of each claim is told
    #[arg(long, default_value = "results")]
    out: PathBuf,
}

pub(crate) fn claims(Args { out }: &Args) -> anyhow::Result<ExitCode> {
    show(&list::text(out))?;
    Ok(ExitCode::SUCCESS)
}

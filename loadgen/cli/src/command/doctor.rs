//! `loadgen doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use loadgen::doctor;
use loadgen::terminal::{folded, show};

/// Say what this machine offers for measuring
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where results (and databases) will be written
    #[arg(long, default_value = "results")]
    out: PathBuf,
}

pub(crate) async fn examine(args: &Args) -> anyhow::Result<ExitCode> {
    for (good, text) in doctor::examine(&args.out).await?.0 {
        show(&folded(&format!("{} {text}", if good { "ok  " } else { "WARN" })))?;
        show("\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

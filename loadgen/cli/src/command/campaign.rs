//! `loadgen campaign`.

use std::path::PathBuf;
use std::process::ExitCode;

use audit::campaign::{self, Conclusion};
use loadgen::terminal::show;

use super::ending::{INVALID, VIOLATED};

/// Add up a campaign of many trials: faults, orders, violations, times to recover. Runs nothing
#[derive(clap::Args)]
#[command(
    after_help = "scripts/campaign makes such a campaign.\n\nExamples:\n  loadgen campaign results/campaign-2026-11-01T120000Z\n  loadgen campaign results/campaign-* --write\nExit codes: 0 true, 3 unknown, 4 false, or void: a control did not come out as it must."
)]
pub(crate) struct Args {
    /// Folders with trials in or anywhere below them
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Write campaign.md, campaign.csv and campaign.json into the first folder
    #[arg(long)]
    write: bool,
}

pub(crate) fn add_up(Args { folders, write }: &Args) -> anyhow::Result<ExitCode> {
    let campaign = campaign::read(folders)?;
    if let Some(folder) = folders.first().filter(|_| *write) {
        campaign.write(folder)?;
    }
    show(&campaign.text())?;
    Ok(match campaign.conclusion {
        Conclusion::True => ExitCode::SUCCESS,
        Conclusion::Unknown => ExitCode::from(INVALID),
        Conclusion::False | Conclusion::Void => ExitCode::from(VIOLATED),
    })
}

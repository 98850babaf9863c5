//! `loadgen list`.

use std::process::ExitCode;

use loadgen::list;
use loadgen::terminal::show;

/// List the scenarios and systems of this folder
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Systems as families: below each the ones that extend it, with what differs
    #[arg(long)]
    tree: bool,
}

pub(crate) fn list(args: &Args) -> anyhow::Result<ExitCode> {
    show(&if args.tree { list::tree() } else { list::text() })?;
    Ok(ExitCode::SUCCESS)
}

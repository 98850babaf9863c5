//! `loadgen list`.

use std::process::ExitCode;

use loadgen::list;
use loadgen::terminal::show;

/// List the scenarios and systems of this folder
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn list(_: &Args) -> anyhow::Result<ExitCode> {
    show(&list::text())?;
    Ok(ExitCode::SUCCESS)
}

//! What `run` starts for itself: the fault proxy, and the keeper above a program.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use supervise::keeper;

/// The fault proxy of a system's links; `run` starts it and speaks to its standard input
#[derive(clap::Args)]
pub(crate) struct LinksArgs {
    /// Whose links they are, for those who look at the list of processes
    #[arg(long)]
    of: Option<PathBuf>,
}

/// Starts a program of a system and stays above all that descends from it; `run` starts it
#[derive(clap::Args)]
pub(crate) struct KeepArgs {
    /// The user and group that the program runs as, UID:GID
    #[arg(long = "as")]
    user: Option<keeper::User>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub(crate) async fn links(LinksArgs { of: _ }: &LinksArgs) -> anyhow::Result<ExitCode> {
    link_proxy::serve_standard_streams().await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn keep(args: &KeepArgs) -> anyhow::Result<ExitCode> {
    keeper::keep(&args.command, args.user)?;
    Ok(ExitCode::SUCCESS)
}

//! The programs: a manager of pairs, and a server of one.

mod folder;
mod line;
mod looks;
mod manager;
mod node;
mod notes;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Pairs of PostgreSQL servers, of which one copies the other and takes over when that one is gone.
#[derive(Parser)]
#[command(version)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decides who of each pair writes
    Manager(manager::Flags),
    /// Runs a server of a pair, as what its manager says it is
    Node(node::Flags),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("failover: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    match flags.command {
        Command::Manager(flags) => manager::run(flags).await,
        Command::Node(flags) => node::run(flags).await,
    }
}

//! The commands, one file each: its options, its help, and what it does with the library.

mod attack;
mod audit;
mod campaign;
mod capacity;
mod doctor;
pub(crate) mod ending;
mod export;
mod heal;
mod inner;
mod list;
mod null_server;
mod report;
mod run;
mod selftest;

use std::process::ExitCode;

use clap::{CommandFactory, Subcommand};
use loadgen::terminal::show;

#[derive(Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    Capacity(capacity::Args),
    Report(report::Args),
    Audit(audit::Args),
    Campaign(campaign::Args),
    Export(export::Args),
    Heal(heal::Args),
    List(list::Args),
    Doctor(doctor::Args),
    Selftest(selftest::Args),
    #[command(hide = true)]
    NullServer(null_server::Args),
    #[command(hide = true)]
    Links(inner::LinksArgs),
    #[command(hide = true)]
    Keep(inner::KeepArgs),
    Attack(attack::Args),
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  loadgen completions bash > ~/.local/share/bash-completion/completions/loadgen"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// What must be done before any thread or signal handler is there.
    pub(crate) fn alone(&self) -> Option<anyhow::Result<ExitCode>> {
        match self {
            Self::Keep(args) => Some(inner::keep(args)),
            _ => None,
        }
    }

    pub(crate) async fn execute<C: CommandFactory>(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => run::run(args).await,
            Self::Capacity(args) => capacity::search(args).await,
            Self::Report(args) => report::write(&args),
            Self::Audit(args) => audit::audit(&args),
            Self::Campaign(args) => campaign::add_up(&args),
            Self::Export(args) => export::export(&args),
            Self::Heal(args) => heal::heal(&args),
            Self::List(args) => list::list(&args),
            Self::Doctor(args) => doctor::examine(&args).await,
            Self::Selftest(args) => selftest::examine(&args).await,
            Self::NullServer(args) => null_server::serve(&args).await,
            Self::Links(args) => inner::links(&args).await,
            Self::Keep(args) => inner::keep(&args),
            Self::Attack(args) => attack::attack(args).await,
            Self::Completions { shell } => completions::<C>(shell),
        }
    }
}

fn completions<C: CommandFactory>(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut C::command(), "loadgen", &mut text);
    show(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}

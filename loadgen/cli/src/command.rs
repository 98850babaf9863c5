//! The commands, one file each: its options, its help, and what it does with the library.

mod attack;
mod audit;
mod campaign;
mod capacity;
mod ci;
mod claims;
mod compare;
mod completions;
mod decide;
mod doctor;
pub(crate) mod ending;
mod export;
mod heal;
mod inner;
mod lesson;
mod list;
mod null_server;
mod report;
mod run;
mod selftest;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    Decide(decide::Args),
    Claims(claims::Args),
    Lesson(lesson::Args),
    Capacity(capacity::Args),
    Report(report::Args),
    Audit(audit::Args),
    Campaign(campaign::Args),
    Compare(compare::Args),
    Export(export::Args),
    Serve(serve::Args),
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
    Completions(completions::Args),
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
            Self::Decide(args) => decide::decide(args).await,
            Self::Lesson(args) => lesson::lesson(args).await,
            Self::Claims(args) => claims::claims(&args),
            Self::Capacity(args) => capacity::search(args).await,
            Self::Report(args) => report::write(&args),
            Self::Audit(args) => audit::audit(&args),
            Self::Campaign(args) => campaign::add_up(&args),
            Self::Compare(args) => compare::compare(&args),
            Self::Export(args) => export::export(&args),
            Self::Serve(args) => serve::serve(&args).await,
            Self::Heal(args) => heal::heal(&args),
            Self::List(args) => list::list(&args),
            Self::Doctor(args) => doctor::examine(&args).await,
            Self::Selftest(args) => selftest::examine(&args).await,
            Self::NullServer(args) => null_server::serve(&args).await,
            Self::Links(args) => inner::links(&args).await,
            Self::Keep(args) => inner::keep(&args),
            Self::Attack(args) => attack::attack(args).await,
            Self::Completions(args) => completions::print::<C>(&args),
        }
    }
}

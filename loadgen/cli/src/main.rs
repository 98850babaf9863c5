//! The command line: wires what it is told to the library and turns results into exit codes.

mod command;

use std::process::ExitCode;

use clap::Parser;
use loadgen::attack_url::Usage;
use loadgen::terminal::warn;

use command::Command;
use command::ending::{EXIT_CODES, USAGE};

/// Drives one shop, wired in different ways, with the same seeded load, and says what came of it.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(result) = cli.command.alone() {
        return ended(result);
    }
    raise_descriptor_limit();
    // One thread: the generator's core belongs to the pacer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(cli.command.execute::<Cli>()),
        Err(error) => Err(error.into()),
    };
    ended(result)
}

fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            warn(&format!("error: {error:#}"));
            if error.is::<Usage>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// Each open request holds a connection; the usual soft limit of 1024 would drop requests.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // A refusal shows itself when a connection cannot be made: that request counts as dropped.
    let _ = setrlimit(Resource::Nofile, limit);
}

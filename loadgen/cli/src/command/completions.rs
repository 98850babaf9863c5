//! `loadgen completions`.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use loadgen::terminal::show;
use scenario::names;
use scenario::system::FOLDER;

/// Print completions for a shell; they know the scenarios and systems of this folder
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  loadgen completions bash > ~/.local/share/bash-completion/completions/loadgen\nA new scenario or system is known when this has been run again."
)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn print<C: CommandFactory>(args: &Args) -> anyhow::Result<ExitCode> {
    let mut command = with_names(C::command());
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "loadgen", &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if args.shell == Shell::Fish {
        text += &of_fish(&names("scenarios"));
    }
    show(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The library completes no arguments without a flag for fish.
fn of_fish(scenarios: &[String]) -> String {
    let line = |command: &str| {
        let names = scenarios.join(" ");
        format!(
            "complete -c loadgen -n \"__fish_loadgen_using_subcommand {command}\" -a \"{names}\"\n"
        )
    };
    ["run", "capacity"].map(line).concat()
}

/// The command with the names of this folder as the values of its arguments: for completions alone, since a path
/// may be given as well.
fn with_names(command: Command) -> Command {
    let (scenarios, systems) = (names("scenarios"), names(FOLDER));
    let known = |command: Command, id: &str, names: &[String]| {
        // They live as long as the program: the library takes no others.
        let names: Vec<&'static str> = names.iter().map(|name| &*name.clone().leak()).collect();
        if names.is_empty() {
            return command;
        }
        command.mut_arg(id, |arg| arg.value_parser(PossibleValuesParser::new(names)))
    };
    command
        .mut_subcommand("run", |run| {
            known(known(run, "scenarios", &scenarios), "systems", &systems)
        })
        .mut_subcommand("decide", |decide| known(decide, "claims", &names("claims")))
        .mut_subcommand("capacity", |capacity| {
            known(known(capacity, "scenario", &scenarios), "systems", &systems)
        })
}

//! `loadgen run`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use faults::Experiment;
use loadgen::environment;
use loadgen::quiet::Quiet;
use loadgen::run::Run;
use loadgen::terminal::Terminal;
use report::export::Format;
use scenario::config::Span;
use scenario::system::SystemSpec;

use super::ending::{command_line, conclude, exit_code, interruption};
use super::{ci, export, heal};

/// Run scenarios on systems, record, audit and report
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  loadgen run payment-outage\n  loadgen run steady --system monolith\n  loadgen run spike payment-outage --system monolith --system microservices-async --trials 3\n  loadgen run ./my-scenario.toml --system ./my-system.toml --seed 7"
)]
pub(crate) struct Args {
    /// Names in ./scenarios, or paths of scenario files
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// A name in ./systems, or the path of a system file; repeat for more. Without any, those whose files
    /// say default
    #[arg(long = "system", short)]
    systems: Vec<String>,
    /// Repetitions of each pair; each has the next seed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    trials: u32,
    /// Replaces the scenarios' seed
    #[arg(long)]
    seed: Option<u64>,
    /// Let the card network have the luck that it had in this run, which has ended: with the same seed it decides
    /// and delays each charge as it did there
    #[arg(long, value_name = "RUN")]
    luck_of: Option<PathBuf>,
    /// How often a trial whose record is void is run again, at the end of the run
    #[arg(long, env = "LOADGEN_RERUNS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=10))]
    reruns: u32,
    #[command(flatten)]
    quiet: Quietly,
    /// The folder of all results
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// Keep the systems' databases in the record
    #[arg(long)]
    keep_data: bool,
    /// Print the summary as JSON (docs/summary.schema.json) and the rest on standard error
    #[arg(long)]
    json: bool,
    /// Tell a CI service what was promised and not kept, what the audit found and what is void
    #[arg(long, value_enum)]
    ci: Option<Service>,
}

// What is done where the machine is not quiet. (A `///` would become the help of whoever flattens it.)
#[derive(clap::Args)]
pub(crate) struct Quietly {
    /// How long each trial waits at most until other processes leave the machine alone; 0s: nobody looks
    #[arg(long, env = "LOADGEN_QUIET_WITHIN", default_value = "30s")]
    quiet_within: Span,
}

impl From<Quietly> for Quiet {
    fn from(quietly: Quietly) -> Self {
        Self { within: quietly.quiet_within.0 }
    }
}

/// A CI service.
#[derive(Clone, Copy, ValueEnum)]
enum Service {
    /// Annotations on standard output, the summary among the job's summaries; junit.xml beside the report
    Github,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    heal::warn_of_leftovers(&args.out);
    let read = |name: &String| -> anyhow::Result<Experiment> {
        let mut experiment = Experiment::read(name)?;
        experiment.scenario.seed = args.seed.unwrap_or(experiment.scenario.seed);
        Ok(experiment)
    };
    let experiments = args.scenarios.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let systems = SystemSpec::read_all(&args.systems)?;
    let terminal = Terminal::open(args.json)?;
    let run = Run {
        experiments,
        systems,
        trials: args.trials,
        reruns: args.reruns,
        quiet: args.quiet.into(),
        out: args.out,
        keep_data: args.keep_data,
        luck: args.luck_of.as_deref().map(environment::luck_of).transpose()?,
        terminal: terminal.clone(),
        command: command_line(),
    };
    let interrupt = interruption(&terminal)?;
    let ran = run.run(interrupt.clone()).await;
    let (folder, outcome) = conclude(ran, &terminal, args.json, interrupt).await?;
    if let Some(folder) = folder {
        if args.json {
            export::print(&folder, Format::Json)?;
        }
        match args.ci {
            Some(Service::Github) => ci::github(&folder, args.json)?,
            None => {}
        }
    }
    Ok(exit_code(outcome))
}

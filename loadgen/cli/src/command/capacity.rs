//! `loadgen capacity`.

use std::path::PathBuf;
use std::process::ExitCode;

use audit::capacity::replay::Found;
use faults::Experiment;
use loadgen::capacity_search::{Capacity, KEEPS};
use loadgen::terminal::{Terminal, show};
use scenario::config::Span;
use scenario::system::SystemSpec;

use super::ending::{command_line, conclude, exit_code, interruption};
use super::run::Quietly;

/// Find the highest arrival rate at which systems keep a scenario's objective
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  loadgen capacity steady\n  loadgen capacity steady monolith\n  loadgen capacity steady monolith microservices-async --step 20s --warm-up 5s\n  loadgen capacity ./my-scenario.toml ./my-system.toml --from 500 --to 4000 --resolution 2%\n\nThe scenario gives mix, limits, provider and objective; its curve and its faults are left out.\nEach trial is on a fresh system. The answer is an interval: kept at 640/s (3 of 3), broken at\n673/s (3 of 3). It ends with 3 if a capacity is not known."
)]
pub(crate) struct Args {
    /// A name in ./scenarios, or the path of a scenario file
    scenario: String,
    /// Names in ./systems, or paths of system files; without any, those whose files say default
    systems: Vec<String>,
    /// The first rate, arrivals per second; doubled until it breaks
    #[arg(long, default_value_t = 50)]
    from: u32,
    /// The highest rate that is tried; without it, what the generator can be trusted with
    #[arg(long)]
    to: Option<u32>,
    /// How narrow the interval shall be, as a share of its lower end
    #[arg(long, default_value = "5%", value_parser = percent)]
    resolution: f64,
    /// Valid trials of both ends of the interval; the majority counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=15))]
    trials: u32,
    /// How long each trial is measured
    #[arg(long, default_value = "10s")]
    step: Span,
    /// How long each trial runs before that
    #[arg(long, default_value = "3s")]
    warm_up: Span,
    /// The share of the offered orders that must complete within the objective
    #[arg(long, default_value = KEEPS, value_parser = percent)]
    keeps: f64,
    /// Replaces the scenario's seed
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    quiet: Quietly,
    /// The folder of all results
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// Print what was found as JSON (docs/capacity.schema.json) and the rest on standard error
    #[arg(long)]
    json: bool,
}

/// `99%`, above 0 and below 100.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|t| t.trim().parse::<f64>().ok());
    let share = number.map(|n| n / 100.0).filter(|share| *share > 0.0 && *share < 1.0);
    share
        .ok_or_else(|| format!("expected a percentage between 0 and 100, like 99%; found {text:?}"))
}

pub(crate) async fn search(args: Args) -> anyhow::Result<ExitCode> {
    let Experiment { mut scenario, .. } = Experiment::read(&args.scenario)?;
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let systems = SystemSpec::read_all(&args.systems)?;
    let terminal = Terminal::open(args.json)?;
    let capacity = Capacity {
        scenario,
        systems,
        from_per_s: args.from,
        to_per_s: args.to,
        resolution: args.resolution,
        trials: args.trials,
        warm_up: args.warm_up,
        step: args.step,
        keeps: args.keeps,
        quiet: args.quiet.into(),
        out: args.out,
        terminal: terminal.clone(),
        command: command_line(),
    };
    let interrupt = interruption(&terminal)?;
    let ran = capacity.run(interrupt.clone()).await;
    let (folder, outcome) = conclude(ran, &terminal, args.json, interrupt).await?;
    if let Some(folder) = folder.filter(|_| args.json) {
        show(&(serde_json::to_string_pretty(&Found::read(&folder)?)? + "\n"))?;
    }
    Ok(exit_code(outcome))
}

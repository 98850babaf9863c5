//! The command line: wires what it is told to the library and turns results into exit codes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use loadgen::attack::{Flaw, Header, Method};
use loadgen::attack_url::{self, Attack, Attacked, Usage};
use loadgen::campaign::{self, Conclusion};
use loadgen::capacity::found::Found;
use loadgen::capacity::{self, Capacity};
use loadgen::config::Span;
use loadgen::cores::Cores;
use loadgen::export::{self, Exported, Format};
use loadgen::fault::undo::{self, Healed};
use loadgen::record::Answer;
use loadgen::record::read::manifests;
use loadgen::run::{Outcome, Run};
use loadgen::scenario::{Arrivals, Scenario};
use loadgen::selftest::server::{Awake, From, Server, Stall};
use loadgen::system::{self, SystemSpec};
use loadgen::terminal::{Terminal, show, warn};
use loadgen::{audit, doctor, keeper, link, list, redact, report, selftest};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

const EXIT_CODES: &str = "Exit codes: 0 good, 1 error, 2 usage,
3 a measurement is invalid or was cut short (audit: unknown),
4 an audit is false or a threshold is broken, 5 a scenario was not run: the machine lacks something.";
const USAGE: u8 = 2;
const INVALID: u8 = 3;
const VIOLATED: u8 = 4;
const NOT_RUN: u8 = 5;
/// A reader of our lines has so long to take them after he has stopped us.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(2);

/// Drives one shop, wired in different ways, with the same seeded load, and says what came of it.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios on systems, record, audit and report
    #[command(
        after_help = "Examples:\n  loadgen run payment-outage\n  loadgen run steady --system monolith\n  loadgen run spike payment-outage --system monolith --system microservices-async --trials 3\n  loadgen run ./my-scenario.toml --system ./my-system.toml --seed 7"
    )]
    Run(RunArgs),
    /// Find the highest arrival rate at which systems keep a scenario's objective
    #[command(
        after_help = "Examples:\n  loadgen capacity steady\n  loadgen capacity steady monolith\n  loadgen capacity steady monolith microservices-async --step 20s --warm-up 5s\n  loadgen capacity ./my-scenario.toml ./my-system.toml --from 500 --to 4000 --resolution 2%\n\nThe scenario gives mix, limits, provider and objective; its curve and its faults are left out.\nEach trial is on a fresh system. The answer is an interval: kept at 640/s (3 of 3), broken at\n673/s (3 of 3). It ends with 3 if a capacity is not known."
    )]
    Capacity(CapacityArgs),
    /// Write the report of a results folder again, from its records alone
    #[command(after_help = "Example:\n  loadgen report results/latest")]
    Report {
        /// A folder that `run`, `capacity` or `attack` wrote
        folder: PathBuf,
    },
    /// Judge a finished record again: what became of every order and every charge. Runs nothing
    #[command(
        after_help = "Examples:\n  loadgen audit results/latest\n  loadgen audit results/latest/spike/monolith/1 --order 2a-00000017\n  loadgen audit results/latest --json | jq '.[].audit.verdict'\nExit codes: 0 true, 3 unknown, 4 false; the worst of all trials."
    )]
    Audit {
        /// A trial's folder, or a folder that `run` wrote
        folder: PathBuf,
        /// Print the life of the order with this key: attempts, rows, charges, dead letters, faults
        #[arg(long, value_name = "KEY", conflicts_with = "write")]
        order: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Replace the trials' audit.json
        #[arg(long)]
        write: bool,
    },
    /// Add up a campaign of many trials: faults, orders, violations, times to recover. Runs nothing
    #[command(
        after_help = "scripts/campaign makes such a campaign.\n\nExamples:\n  loadgen campaign results/campaign-2026-11-01T120000Z\n  loadgen campaign results/campaign-* --write\nExit codes: 0 true, 3 unknown, 4 false, or void: a control did not come out as it must."
    )]
    Campaign {
        /// Folders with trials in or anywhere below them
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// Write campaign.md, campaign.csv and campaign.json into the first folder
        #[arg(long)]
        write: bool,
    },
    /// Write a finished record in the formats of other tools
    #[command(
        after_help = "Examples:\n  loadgen export results/latest --format json | jq '.trials[].validity'\n  loadgen export results/latest --format openmetrics > triptych.prom\n  loadgen export results/latest --format hgrm"
    )]
    Export {
        /// A folder that `run` or `attack` wrote
        folder: PathBuf,
        /// json and openmetrics go to the standard output; hgrm files beside each trial's record
        #[arg(long, value_enum)]
        format: Form,
    },
    /// Take back what a run left that was ended in the middle: processes, mounts, control groups
    #[command(
        after_help = "Only what an undo journal (undo.jsonl) names is touched, and a process only if it is still\nthe one that was started then.\n\nExamples:\n  loadgen heal\n  loadgen heal results/2026-11-01T120000Z-host"
    )]
    Heal {
        /// A folder with results in or below it
        #[arg(default_value = "results")]
        folder: PathBuf,
    },
    /// List the scenarios and systems of this folder
    List,
    /// Say what this machine offers for measuring
    Doctor {
        /// Where results (and databases) will be written
        #[arg(long, default_value = "results")]
        out: PathBuf,
    },
    /// Test the generator itself: stalls of known truth, arrivals, pacing, its ceiling
    Selftest {
        /// Where temporary records are written
        #[arg(long, default_value = "results")]
        out: PathBuf,
        /// Break the generator on purpose, to see that the test finds it
        #[arg(long, value_enum, default_value_t = Broken::None, hide = true)]
        flaw: Broken,
    },
    /// A server that answers at once, for comparing generators; tells what it saw when it is stopped
    #[command(hide = true)]
    NullServer {
        /// Where it listens
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: std::net::SocketAddr,
        /// Stop answering this long after the first request …
        #[arg(long, requires = "stall_for")]
        stall_at: Option<Span>,
        /// … for this long
        #[arg(long, requires = "stall_at")]
        stall_for: Option<Span>,
        /// Never sleep, so that no request pays for waking it
        #[arg(long)]
        awake: bool,
    },
    /// The fault proxy of a system's links; `run` starts it and speaks to its standard input
    #[command(hide = true)]
    Links {
        /// Whose links they are, for those who look at the list of processes
        #[arg(long)]
        of: Option<PathBuf>,
    },
    /// Starts a program of a system and stays above all that descends from it; `run` starts it
    #[command(hide = true)]
    Keep {
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Put open-loop load on any HTTP service
    #[command(
        after_help = "Examples:\n  loadgen attack http://127.0.0.1:8080/ --rate 1000 --duration 30s\n  loadgen attack http://127.0.0.1:8080/items --method POST --body '{\"a\":1}' --header 'Content-Type: application/json' --rate 200"
    )]
    Attack(AttackArgs),
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  loadgen completions bash > ~/.local/share/bash-completion/completions/loadgen"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(clap::Args)]
struct RunArgs {
    /// Names in ./scenarios, or paths of scenario files
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// A name in ./systems, or the path of a system file; repeat for more
    #[arg(long = "system", short, default_values = system::DEFAULT)]
    systems: Vec<String>,
    /// Repetitions of each pair; each has the next seed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    trials: u32,
    /// Replaces the scenarios' seed
    #[arg(long)]
    seed: Option<u64>,
    /// The folder of all results
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// Keep the systems' databases in the record
    #[arg(long)]
    keep_data: bool,
    /// Print the summary as JSON (docs/summary.schema.json) and the rest on standard error
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct CapacityArgs {
    /// A name in ./scenarios, or the path of a scenario file
    scenario: String,
    /// Names in ./systems, or paths of system files
    #[arg(default_values = system::DEFAULT)]
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
    #[arg(long, default_value = capacity::KEEPS, value_parser = percent)]
    keeps: f64,
    /// Replaces the scenario's seed
    #[arg(long)]
    seed: Option<u64>,
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

/// A time in which an answer can come.
fn patience(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.0.is_zero() {
        Err("expected a time in which an answer can come".to_owned())
    } else {
        Ok(span)
    }
}

#[derive(clap::Args)]
struct AttackArgs {
    /// http://host:port/path; with user:password@ in it, Basic authentication
    url: String,
    /// Arrivals per second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// A closed loop instead: this many users, each of whom waits for the answer
    #[arg(long, conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..=4000))]
    users: Option<u32>,
    /// For how long: 30s, 5m
    #[arg(long, default_value = "10s")]
    duration: Span,
    /// The method
    #[arg(long, default_value = "GET")]
    method: Method,
    /// A header, `Name: value`, instead of ours of this name; repeat for more
    #[arg(long)]
    header: Vec<Header>,
    /// The body
    #[arg(long, default_value = "")]
    body: String,
    /// How arrivals are spaced
    #[arg(long, value_enum, default_value_t = Spacing::Poisson)]
    arrivals: Spacing,
    /// Seed of the arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A request without an answer for this long is unknown
    #[arg(long, default_value = "5s", value_parser = patience)]
    timeout: Span,
    /// Requests that may be open at once
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    in_flight: u32,
    /// The folder of all results
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// Write the record alone; `loadgen report` makes the report of it later
    #[arg(long)]
    no_report: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Json,
    Openmetrics,
    Hgrm,
}

#[derive(Clone, Copy, ValueEnum)]
enum Broken {
    None,
    CoordinatedOmission,
    DropUnfinished,
    TokioTimer,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spacing {
    Poisson,
    Constant,
    Jitter,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Keep { command } = cli.command {
        return ended(keeper::keep(&command).map(|()| ExitCode::SUCCESS));
    }
    raise_descriptor_limit();
    // One thread: the generator's core belongs to the pacer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(execute(cli.command)),
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

async fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run(args).await,
        Command::Capacity(args) => search(args).await,
        Command::Report { folder } => {
            report::write(&folder)?;
            show(&format!("{}\n", folder.join("report.html").display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Audit { folder, order: Some(key), json, .. } => show_order(&folder, &key, json),
        Command::Audit { folder, order: None, json, write } => audit_again(&folder, json, write),
        Command::Campaign { folders, write } => add_up(&folders, write),
        Command::Export { folder, format } => {
            let format = match format {
                Form::Json => Format::Json,
                Form::Openmetrics => Format::OpenMetrics,
                Form::Hgrm => Format::Hgrm,
            };
            print_export(&folder, format)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Heal { folder } => heal(&folder),
        Command::List => {
            show(&list::text())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor { out } => {
            for (good, text) in doctor::examine(&out).await?.0 {
                show(&format!("{} {text}\n", if good { "ok  " } else { "WARN" }))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Selftest { out, flaw } => examine(&out, flaw).await,
        Command::NullServer { listen, stall_at, stall_for, awake } => {
            let stall = stall_at
                .zip(stall_for)
                .map(|(at, lasts)| Stall { from: From::First(at.0), lasts: lasts.0 });
            let awake = if awake { Awake::Always } else { Awake::WhenNeeded };
            serve_nothing(listen, stall, awake).await
        }
        Command::Links { of: _ } => {
            link::serve_standard_streams().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Attack(args) => attack(args).await,
        // Done before any thread or signal handler is there.
        Command::Keep { command: _ } => Ok(ExitCode::SUCCESS),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "loadgen", &mut text);
            show(&String::from_utf8_lossy(&text))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Judges every trial in the folder; the exit code is that of the worst.
fn audit_again(folder: &Path, json: bool, write: bool) -> anyhow::Result<ExitCode> {
    let trials = manifests(folder)?;
    let read: Vec<audit::Read> =
        trials.iter().map(|(folder, manifest)| audit::Read::trial(folder, manifest)).collect();
    if write {
        read.iter().try_for_each(audit::Read::write)?;
    }
    let text = if json { serde_json::to_string_pretty(&read)? + "\n" } else { audit::table(&read) };
    show(&text)?;
    Ok(match read.iter().map(|trial| trial.audit.verdict).max() {
        Some(Answer::True) => ExitCode::SUCCESS,
        Some(Answer::Unknown) | None => ExitCode::from(INVALID),
        Some(Answer::False) => ExitCode::from(VIOLATED),
    })
}

fn add_up(folders: &[PathBuf], write: bool) -> anyhow::Result<ExitCode> {
    let campaign = campaign::read(folders)?;
    if let Some(folder) = folders.first().filter(|_| write) {
        campaign.write(folder)?;
    }
    show(&campaign.text())?;
    Ok(match campaign.conclusion {
        Conclusion::True => ExitCode::SUCCESS,
        Conclusion::Unknown => ExitCode::from(INVALID),
        Conclusion::False | Conclusion::Void => ExitCode::from(VIOLATED),
    })
}

fn show_order(folder: &Path, key: &str, json: bool) -> anyhow::Result<ExitCode> {
    let mut known = BTreeMap::new();
    for (folder, manifest) in manifests(folder)? {
        let events = audit::order(&audit::traces(&folder, &manifest, key)?);
        if !events.is_empty() {
            known.insert(folder.display().to_string(), events);
        }
    }
    if known.is_empty() {
        anyhow::bail!("{}: no trial knows an order with the key {key:?}", folder.display());
    }
    if json {
        show(&(serde_json::to_string_pretty(&known)? + "\n"))?;
    } else {
        for (folder, events) in &known {
            show(&format!("{folder}\n{}", audit::events_text(events)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn heal(folder: &Path) -> anyhow::Result<ExitCode> {
    let healed = undo::heal(folder)
        .with_context(|| format!("cannot heal what is in {}", folder.display()))?;
    for text in &healed.done {
        show(&format!("{text}\n"))?;
    }
    healed.failed.iter().for_each(|text| warn(text));
    if healed == Healed::default() {
        show(&format!("nothing to take back in {}\n", folder.display()))?;
    }
    Ok(if healed.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What an earlier run left would disturb this one; whether to touch it is the user's decision.
fn warn_of_leftovers(out: &Path) {
    for journal in undo::left(out).unwrap_or_default() {
        warn(&format!(
            "warning: an earlier run was ended in the middle and left something: {}; run: loadgen heal {}",
            journal.path.display(),
            out.display()
        ));
    }
}

async fn examine(out: &Path, flaw: Broken) -> anyhow::Result<ExitCode> {
    let flaw = match flaw {
        Broken::None => Flaw::None,
        Broken::CoordinatedOmission => Flaw::CoordinatedOmission,
        Broken::DropUnfinished => Flaw::DropUnfinished,
        Broken::TokioTimer => Flaw::TokioTimer,
    };
    let folder = out.join(format!(".selftest-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let terminal = Terminal::open(false)?;
    let tell = |check: &selftest::Check| {
        terminal.say(&format!("{} {}", if check.passed { "ok  " } else { "FAIL" }, check.text));
    };
    let passed = selftest::examine(&folder, flaw, &tell).await;
    let _ = std::fs::remove_dir_all(&folder);
    terminal.flush().await;
    Ok(if passed? { ExitCode::SUCCESS } else { ExitCode::from(INVALID) })
}

async fn serve_nothing(
    listen: std::net::SocketAddr,
    stall: Option<Stall>,
    awake: Awake,
) -> anyhow::Result<ExitCode> {
    let server = Server::start(listen, &Cores::divide()?, stall, awake)?;
    warn(&format!("null-server: listening on {}", server.address));
    let mut stop = interruption(&Terminal::open(true)?)?;
    stop.wait_for(|stop| *stop).await?;
    show(&format!("{}\n", selftest::seen(&server.stop()?)))?;
    Ok(ExitCode::SUCCESS)
}

fn print_export(folder: &Path, format: Format) -> anyhow::Result<()> {
    match export::export(folder, format)? {
        Exported::Text(text) => show(&text)?,
        Exported::Files(files) => {
            let lines: Vec<String> = files.iter().map(|f| format!("{}\n", f.display())).collect();
            show(&lines.concat())?;
        }
    }
    Ok(())
}

async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    warn_of_leftovers(&args.out);
    let read = |name: &String| -> anyhow::Result<Scenario> {
        let mut scenario = Scenario::read(name)?;
        scenario.seed = args.seed.unwrap_or(scenario.seed);
        Ok(scenario)
    };
    let scenarios = args.scenarios.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let systems =
        args.systems.iter().map(|name| SystemSpec::read(name)).collect::<Result<Vec<_>, _>>()?;
    let terminal = Terminal::open(args.json)?;
    let run = Run {
        scenarios,
        systems,
        trials: args.trials,
        out: args.out,
        keep_data: args.keep_data,
        terminal: terminal.clone(),
        command: command_line(),
    };
    let interrupt = interruption(&terminal)?;
    let ran = run.run(interrupt.clone()).await;
    let (folder, outcome) = conclude(ran, &terminal, args.json, interrupt).await?;
    if let Some(folder) = folder.filter(|_| args.json) {
        print_export(&folder, Format::Json)?;
    }
    Ok(exit_code(outcome))
}

async fn search(args: CapacityArgs) -> anyhow::Result<ExitCode> {
    let mut scenario = Scenario::read(&args.scenario)?;
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let systems =
        args.systems.iter().map(|name| SystemSpec::read(name)).collect::<Result<Vec<_>, _>>()?;
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

async fn attack(args: AttackArgs) -> anyhow::Result<ExitCode> {
    let attack = Attack {
        url: args.url,
        method: args.method,
        headers: args.header,
        body: args.body.into_bytes(),
        rate: args.rate,
        users: args.users,
        duration: args.duration,
        arrivals: match args.arrivals {
            Spacing::Poisson => Arrivals::Poisson,
            Spacing::Constant => Arrivals::Constant,
            Spacing::Jitter => Arrivals::Jitter,
        },
        seed: args.seed,
        timeout: args.timeout,
        in_flight: args.in_flight,
        out: args.out,
        no_report: args.no_report,
        command: command_line(),
    };
    let interrupt = interruption(&Terminal::open(false)?)?;
    let Attacked { folder, manifest, reported } = attack.run(interrupt).await?;
    show(&attack_url::brief(&folder)?)?;
    if !reported || attack.no_report {
        show(&format!("records: {}\n", folder.display()))?;
    } else {
        show(&format!("report: {}\n", folder.join("report.html").display()))?;
    }
    let validity = manifest.validity;
    Ok(exit_code(Outcome {
        invalid: !validity.valid,
        interrupted: validity.interrupted,
        unreported: !reported,
        ..Outcome::default()
    }))
}

/// What a run or a search came to.
type Ran = anyhow::Result<(Option<PathBuf>, Outcome)>;

/// Says where the report is, unless a document follows, and waits until all is said.
async fn conclude(
    ran: Ran,
    terminal: &Terminal,
    json: bool,
    interrupt: watch::Receiver<bool>,
) -> Ran {
    match &ran {
        Ok((Some(folder), outcome)) if outcome.unreported => {
            terminal.note(&format!("records: {}", folder.display()));
        }
        Ok((Some(folder), _)) if !json => {
            terminal.say(&format!("report: {}", folder.join("report.html").display()));
        }
        Ok((None, outcome)) if outcome.not_run && !outcome.interrupted => {
            terminal.note("no scenario was run; there is nothing to report");
        }
        Ok((None, _)) => terminal.note("stopped before any load; there is nothing to report"),
        Ok((Some(_), _)) | Err(_) => {}
    }
    close(terminal, interrupt).await;
    ran
}

/// Waits for whoever reads what was said; not for long if he has stopped us.
async fn close(terminal: &Terminal, mut interrupt: watch::Receiver<bool>) {
    let stopped = async {
        let _ = interrupt.wait_for(|stop| *stop).await;
        sleep(LAST_WORDS_WITHIN).await;
    };
    let whole = tokio::select! {
        whole = terminal.flush() => whole,
        () = stopped => false,
    };
    if !whole {
        warn("warning: not all that was said could be written; the record has it");
    }
}

fn exit_code(outcome: Outcome) -> ExitCode {
    if outcome.violated {
        ExitCode::from(VIOLATED)
    } else if outcome.invalid || outcome.interrupted {
        ExitCode::from(INVALID)
    } else if outcome.not_run {
        ExitCode::from(NOT_RUN)
    } else if outcome.unreported {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The command line as it can be typed again, but for its secrets; the program by its name.
fn command_line() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("loadgen".to_owned()).chain(redact::command_line(words)).collect()
}

/// Becomes true on Ctrl-C, SIGTERM, or when the terminal is closed: everything is stopped, and what
/// was measured is written.
fn interruption(terminal: &Terminal) -> anyhow::Result<watch::Receiver<bool>> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let (tell, told) = watch::channel(false);
    let terminal = terminal.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
        terminal.note("stopping; what was measured will be written");
        let _ = tell.send(true);
        // Kept alive: a closed channel would read as the last value for ever, which is right.
        std::future::pending::<()>().await;
    });
    Ok(told)
}

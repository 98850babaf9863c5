//! `loadgen attack`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use load::engine::{Header, Method, Trust};
use loadgen::attack_url::{self, Attack, Attacked};
use loadgen::run::RunState;
use loadgen::terminal::{Terminal, show};
use scenario::Arrivals;
use scenario::config::Span;

use super::ending::{command_line, exit_code, interruption};

/// The engine writes it for every request: a larger one would measure a copy.
const BODY_BYTES_MAX: u64 = 16 << 20;

/// Put open-loop load on any HTTP service
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  loadgen attack http://127.0.0.1:8080/ --rate 1000 --duration 30s\n  loadgen attack http://127.0.0.1:8080/items --method POST --body '{\"a\":1}' --header 'Content-Type: application/json' --rate 200\n  loadgen attack http://127.0.0.1:8080/items --method POST --body @item.json --users 50"
)]
pub(crate) struct Args {
    /// http://host:port/path or https://…; with user:password@ in it, Basic authentication
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
    /// The body; @FILE: what is in the file, as it is; @@…: a body that begins with @
    #[arg(long, default_value = "")]
    body: String,
    /// Believe the certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    cacert: Option<PathBuf>,
    /// Believe any certificate
    #[arg(long)]
    insecure: bool,
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
enum Spacing {
    Poisson,
    Constant,
    Jitter,
}

impl From<Spacing> for Arrivals {
    fn from(spacing: Spacing) -> Self {
        match spacing {
            Spacing::Poisson => Self::Poisson,
            Spacing::Constant => Self::Constant,
            Spacing::Jitter => Self::Jitter,
        }
    }
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

fn trust(file: Option<PathBuf>, insecure: bool) -> Trust {
    match file {
        Some(file) => Trust::File(file),
        None if insecure => Trust::Anybody,
        None => Trust::System,
    }
}

/// What `--body` stands for.
fn body(given: &str) -> anyhow::Result<Vec<u8>> {
    match given.strip_prefix('@') {
        None => Ok(given.as_bytes().to_vec()),
        Some(rest) if rest.starts_with('@') => Ok(rest.as_bytes().to_vec()),
        Some(path) => {
            let cannot =
                || format!("--body @{path}: cannot read {path:?}; @@ begins a body with @");
            bounded(Path::new(path)).with_context(cannot)
        }
    }
}

/// A file that can be a body, and has an end.
fn bounded(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BODY_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= BODY_BYTES_MAX, "expected at most 16 MiB; found more");
    Ok(bytes)
}

pub(crate) async fn attack(args: Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::open(false)?;
    let attack = Attack {
        url: args.url,
        trust: trust(args.cacert, args.insecure),
        method: args.method,
        headers: args.header,
        body: body(&args.body)?,
        rate: args.rate,
        users: args.users,
        duration: args.duration,
        arrivals: args.arrivals.into(),
        seed: args.seed,
        timeout: args.timeout,
        in_flight: args.in_flight,
        out: args.out,
        no_report: args.no_report,
        terminal: terminal.clone(),
        command: command_line(),
    };
    let interrupt = interruption(&terminal)?;
    let Attacked { folder, manifest, reported } = attack.run(interrupt).await?;
    terminal.flush().await;
    show(&attack_url::brief(&folder)?)?;
    if !reported || attack.no_report {
        show(&format!("records: {}\n", folder.display()))?;
    } else {
        show(&format!("report: {}\n", folder.join("report.html").display()))?;
    }
    let validity = manifest.validity;
    Ok(exit_code(RunState {
        invalid: !validity.valid,
        interrupted: validity.interrupted,
        unreported: !reported,
        ..RunState::default()
    }))
}

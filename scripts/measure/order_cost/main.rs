//! What an order costs in the monolith, over the sum of what its parts cost alone: an echo of the
//! same sizes on `http-server`, one call of the card network by `web::client`, and the order's
//! three rows in group commits. CPU time of the one process that does each, its kernel time
//! included; the card network's and the driver's own do not count. Every part has the same
//! concurrency, and the four alternate within each round.
//!
//! For `scripts/bench-micro`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measured")]

mod client;
mod parts;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use client::Customer;
use process::{Server, Worker};

/// Requests, calls or rows outstanding.
const OUTSTANDING: usize = 64;

/// Measures the CPU time of an order in the monolith, and of its parts alone.
#[derive(Parser)]
struct Flags {
    /// Rounds; one more before them is thrown away
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each of the four measurements in a round
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Where the files are kept; a memory file system would measure nothing
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Print one line of JSON instead
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Be a part: used by this program on itself.
#[derive(Subcommand)]
enum Part {
    /// Answers every request with the body that standard input begins with
    Echo,
    /// Calls this card network
    Hop { provider: web::client::Base },
    /// Writes the rows of orders to this store
    Rows { store: String },
}

/// CPU microseconds for each order, or each part of one.
#[derive(Clone, Copy, Default)]
struct Round {
    order: f64,
    echo: f64,
    hop: f64,
    rows: f64,
}

impl Round {
    fn parts(&self) -> f64 {
        self.echo + self.hop + self.rows
    }

    fn ratio(&self) -> f64 {
        self.order / self.parts()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    match flags.part {
        Some(Part::Echo) => parts::echo().await,
        Some(Part::Hop { provider }) => parts::hop(&provider).await,
        Some(Part::Rows { store }) => parts::rows(&store).await,
        None => {
            let dir = tempfile::tempdir_in(&flags.dir)?;
            let span = Duration::from_secs_f64(flags.seconds);
            let rounds = measure(dir.path(), flags.rounds, span).await?;
            if flags.json {
                print_json(&rounds)
            } else {
                print_table(&rounds)
            }
            Ok(())
        }
    }
}

/// The four measured things.
struct Bench {
    monolith: Server,
    customer: Customer,
    echo: Server,
    hop: Worker,
    rows: Worker,
    /// Held until the end: dropped, it dies.
    _provider: Server,
}

async fn measure(dir: &Path, rounds: usize, span: Duration) -> Result<Vec<Round>> {
    let mut bench = Bench::start(dir).await?;
    bench.round(span).await.context("the round that warms up")?;
    let mut measured = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        measured.push(bench.round(span).await?);
    }
    Ok(measured)
}

impl Bench {
    async fn start(dir: &Path) -> Result<Self> {
        let provider = Server::provider(dir).await?;
        let monolith = Server::monolith(dir, provider.address).await?;
        let customer = Customer::sign_up(monolith.address).await?;
        let echo = Server::echo(&customer.order_once(monolith.address).await?).await?;
        let hop = Worker::start(&["hop", &format!("http://{}", provider.address)])?;
        let rows = Worker::start(&["rows", &format!("sqlite:{}/rows.db", dir.display())])?;
        Ok(Self { monolith, customer, echo, hop, rows, _provider: provider })
    }

    async fn round(&mut self, span: Duration) -> Result<Round> {
        Ok(Round {
            order: driven(&self.monolith, &self.customer, span).await?,
            echo: driven(&self.echo, &self.customer, span).await?,
            hop: self.hop.cost_us(span).await?,
            rows: self.rows.cost_us(span).await?,
        })
    }
}

/// CPU time of a server for each order that it is sent.
async fn driven(server: &Server, customer: &Customer, span: Duration) -> Result<f64> {
    let before = process::cpu_us(server.pid)?;
    let orders = customer.order_for(server.address, OUTSTANDING, span).await?;
    Ok((process::cpu_us(server.pid)? - before) / orders as f64)
}

/// Median, least and most.
fn spread(rounds: &[Round], of: impl Fn(&Round) -> f64) -> [f64; 3] {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    [values[values.len() / 2], values[0], values[values.len() - 1]]
}

fn print_table(rounds: &[Round]) {
    println!("CPU us per order, {OUTSTANDING} outstanding     median (least to most)");
    let row = |name: &str, of: fn(&Round) -> f64| {
        let [median, least, most] = spread(rounds, of);
        println!("{name:<34} {median:>8.1} ({least:.1} to {most:.1})");
    };
    row("order in the monolith", |r| r.order);
    row("  echo on http-server", |r| r.echo);
    row("  one hop to the card network", |r| r.hop);
    row("  three rows in group commits", |r| r.rows);
    row("sum of the parts", Round::parts);
    let [median, least, most] = spread(rounds, Round::ratio);
    println!(
        "order over parts: median {median:.3} of {} rounds ({least:.3} to {most:.3})",
        rounds.len()
    );
}

fn print_json(rounds: &[Round]) {
    let [ratio, least, most] = spread(rounds, Round::ratio);
    let median = |of: fn(&Round) -> f64| spread(rounds, of)[0];
    let line = serde_json::json!({
        "order_over_parts": ratio, "least": least, "most": most, "rounds": rounds.len(),
        "outstanding": OUTSTANDING, "order_us": median(|r| r.order), "echo_us": median(|r| r.echo),
        "hop_us": median(|r| r.hop), "rows_us": median(|r| r.rows),
    });
    println!("{line}");
}

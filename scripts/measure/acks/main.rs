//! What an acknowledgement costs, and what it is worth when the process or the power goes: each broker, as
//! installed and with an fsync before each answer, in one interleaved run. For `scripts/bench-brokers`.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::print_stderr, reason = "it says how far it is")]

mod contestant;
mod load;
mod loss;
mod promise;
mod syncs;
mod table;
mod used;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;

use contestant::{Contestant, Started};
use load::Way;
use table::{Row, Tables};

/// Measures brokers.
#[derive(Parser)]
struct Flags {
    /// Rounds; each starts every contestant anew and measures every combination once. 0: fsyncs and losses alone
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement, after a quarter of it for warming up
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How many messages are under way at once
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    outstanding: Vec<u32>,
    /// Only these brokers; else all that are installed
    #[arg(long, value_delimiter = ',')]
    brokers: Vec<String>,
    /// Instead of all else: how these brokers do while ever more consumers share a topic, with an fsync before each
    /// answer
    #[arg(long, value_delimiter = ',')]
    sweep: Vec<String>,
    /// How many consumers a sweep has
    #[arg(long, value_delimiter = ',', default_value = "1,4,16,64,256")]
    consumers: Vec<u32>,
    /// How often each is killed under load, and how often its power is cut (needs root)
    #[arg(long, default_value_t = 5)]
    crashes: usize,
    /// Where brokers keep their data; a memory file system would measure nothing
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The folder of tables and charts, made if it is not there
    #[arg(long, default_value = "results/brokers")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    std::fs::create_dir_all(&flags.out)?;
    if !flags.sweep.is_empty() {
        return sweep(&flags).await;
    }
    let contestants = contestant::all(&flags.brokers)?;
    let (mut tables, mut failed) = (Tables::default(), false);
    for round in 0..flags.rounds {
        for nth in 0..contestants.len() {
            // Each has every place in a round in turn.
            let contestant = &contestants[(nth + round) % contestants.len()];
            eprintln!("round {} of {}: {contestant}", round + 1, flags.rounds);
            let levels = (&[Way::Publish, Way::EndToEnd][..], &flags.outstanding[..]);
            let measured = measure(contestant, round, &flags, levels, &mut tables).await;
            failed |= told(contestant, measured);
        }
    }
    for contestant in &contestants {
        eprintln!("fsyncs and losses: {contestant}");
        failed |= told(contestant, examine(contestant, &flags, &mut tables).await);
    }
    tables.write(&flags.out)?;
    tables.draw(&contestants, &flags.out)?;
    let promise = promise::table(&tables, &contestants);
    std::fs::write(flags.out.join("promise.md"), &promise)?;
    print!("{}\n{promise}", tables.markdown(&contestants));
    println!("\ntables: {}", flags.out.display());
    ensure!(!failed, "some measurements failed; their cells are empty");
    Ok(())
}

/// Consumers that share a topic, ever more of them.
async fn sweep(flags: &Flags) -> Result<()> {
    let mut contestants = contestant::all(&flags.sweep)?;
    contestants.retain(|contestant| contestant.durable);
    let (mut tables, mut failed) = (Tables::default(), false);
    for round in 0..flags.rounds {
        for contestant in &contestants {
            eprintln!("round {} of {}: {contestant}", round + 1, flags.rounds);
            let levels = (&[Way::Shared][..], &flags.consumers[..]);
            let measured = measure(contestant, round, flags, levels, &mut tables).await;
            failed |= told(contestant, measured);
        }
    }
    tables.write_rows(&flags.out.join("sweep.csv"), "consumers")?;
    print!("{}", tables.swept(&contestants));
    println!("\ntable: {}", flags.out.join("sweep.csv").display());
    ensure!(!failed, "some measurements failed; their cells are empty");
    Ok(())
}

/// Says what failed: the others are measured all the same.
fn told(contestant: &Contestant, outcome: Result<()>) -> bool {
    if let Err(error) = &outcome {
        eprintln!("error: {contestant}: {error:#}");
    }
    outcome.is_err()
}

/// Its fsyncs, and what it loses.
async fn examine(contestant: &Contestant, flags: &Flags, tables: &mut Tables) -> Result<()> {
    tables.syncs.extend(syncs::counted(contestant, &flags.dir).await?);
    if flags.crashes > 0 {
        tables.losses.extend(loss::counted(contestant, &flags.dir, flags.crashes).await?);
    }
    Ok(())
}

/// Every combination of one contestant, on a new instance.
async fn measure(
    contestant: &Contestant,
    round: usize,
    flags: &Flags,
    (ways, levels): (&[Way], &[u32]),
    tables: &mut Tables,
) -> Result<()> {
    let started = Started::new(contestant, &flags.dir).await?;
    let span = Duration::from_secs_f64(flags.seconds);
    for &outstanding in levels {
        for &way in ways {
            let figures = load::measure(&started, way, outstanding, span).await?;
            tables.rows.push(Row {
                contestant: contestant.clone(),
                round,
                way,
                outstanding,
                figures,
            });
        }
    }
    started.end().await
}

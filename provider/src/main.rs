//! The card network: it keeps its own fsynced journal of every charge. It knows
//! no shop, only keys, amounts and cards.

mod callbacks;
mod charge;
mod counter;
mod desk;
mod draw;
mod http_api;
mod journal;
mod latency;
mod line;
mod rate;
mod secret;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use http_server::{Guard, Limits, Listen, Metrics, Observed, secret, serve, shutdown_signal};

use crate::callbacks::Callbacks;
use crate::desk::Desk;
use crate::draw::Draws;
use crate::http_api::Api;
use crate::journal::Journal;
use crate::latency::Latency;
use crate::secret::Secret;
use crate::settings::{AT_ONCE_MAX, Mode, Settings, rate};

/// The card network answers when it likes: our own time-out is only a bound.
const REQUEST: Duration = Duration::from_secs(90);

/// Whoever shows it may charge.
const MERCHANT_TOKEN: &str = "TRIPTYCH_MERCHANT_TOKEN";

/// A card network with a latency, a decline rate, an error rate, and a durable journal.
///
/// Whoever charges shows the token in the environment variable TRIPTYCH_MERCHANT_TOKEN (at least 32 bytes);
/// TRIPTYCH_CONTROL_TOKEN, if set, allows changes by PATCH /control; with TRIPTYCH_NETWORK_SECRET the journal
/// is sealed, and nobody else knows the luck of a key. With TRIPTYCH_CALLBACK_SECRET it takes the shop's
/// notifications at POST /callbacks, in its customers' place.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
    /// The journal: JSON lines, appended to
    #[arg(long, value_name = "PATH")]
    journal: PathBuf,
    /// constant:20ms, exponential:20ms (mean) or lognormal:20ms,80ms (median, 99th percentile)
    #[arg(long, default_value = "lognormal:20ms,80ms")]
    latency: Latency,
    /// Share of keys that are declined, 0 to 1
    #[arg(long, default_value = "0.02", value_parser = rate)]
    decline_rate: f64,
    /// Share of attempts that are answered 500 before anything is captured, 0 to 1
    #[arg(long, default_value = "0", value_parser = rate)]
    error_rate: f64,
    /// Charges taken per second; more are answered 429 and have no effect
    #[arg(long)]
    rate_limit: Option<u32>,
    /// Charges worked on at once; the others wait in a line, first come, first served. Without it all are
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(AT_ONCE_MAX)))]
    at_once: Option<u32>,
    /// Charges that may wait in the line; one more is answered 429 and has no effect
    #[arg(long, requires = "at_once")]
    queue: Option<u32>,
    /// Share of decided charges whose connection is closed instead of answered, 0 to 1
    #[arg(long, default_value = "0", value_parser = rate)]
    lost_answers: f64,
    /// dedupe: a repeated key gets its first result; raw: it is charged again
    #[arg(long, default_value = "dedupe")]
    mode: Mode,
    /// Fixes verdict, latency and errors of every key, together with the secret
    #[arg(long, default_value = "1")]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("provider: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let shutdown = shutdown_signal().context("cannot wait for signals")?;
    let merchants = Guard::new(Some(secret(MERCHANT_TOKEN)?));
    let own = Secret::from_environment();
    let (journal, history) = Journal::open(&arguments.journal, &own)?;
    let Arguments { latency, decline_rate, error_rate, mode, rate_limit, .. } = arguments;
    let Arguments { at_once, queue, lost_answers, .. } = arguments;
    let settings = Settings {
        latency,
        decline_rate,
        error_rate,
        mode,
        rate_limit,
        at_once,
        queue,
        lost_answers,
    };
    let mut metrics = Metrics::default();
    let draws = Draws::new(own, arguments.seed);
    let desk = Desk::new(journal, history, settings, draws, &mut metrics);
    let (control, callbacks) = (Guard::from_environment(), Callbacks::from_environment());
    let api = Arc::new(Api::new(Arc::clone(&desk), merchants, control, callbacks));
    let listener = arguments.listen.bind()?;
    process_log::say(format_args!("provider: listening on {}", listener.local_addr()?));
    let limits = Limits { request: REQUEST, ..Limits::default() }.within_descriptors();
    let told = limits.settings().with("version", env!("CARGO_PKG_VERSION"));
    let observed = Observed::telling(api, desk, Arc::new(metrics), told);
    serve(listener, observed, limits, shutdown).await?;
    Ok(())
}

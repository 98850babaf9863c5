//! The embedded broker as a process: flags in, a served queue out.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use brokers::embedded::{Options, Queue, serve};
use brokers::{Backoff, Door, Settings, parse_span};
use clap::{Parser, ValueEnum};
use group_commit::{Commit, Location};
use http_server::{Guard, Limits, Listen, shutdown_signal};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves durable queues, kept in one SQLite file, to clients on this machine.
///
/// The environment variable TRIPTYCH_CONTROL_TOKEN allows to open and to replay dead letters.
#[derive(Parser)]
struct Flags {
    /// Where clients connect; loopback only
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The file: sqlite:/path/to/broker.db; durable unless ?synchronous=off or =normal follows
    #[arg(long, value_name = "URL", value_parser = sqlite)]
    store: Location,
    /// Where health, metrics and dead letters are served; loopback only
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
    /// How long a delivery belongs to its consumer unless extended
    #[arg(long, default_value = "10s", value_parser = parse_span)]
    lease: Duration,
    /// Failures of a message before it is a dead letter; what is put off does not count
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// The longest wait after the first failure; it doubles with each
    #[arg(long, default_value = "100ms", value_parser = parse_span)]
    backoff: Duration,
    /// The longest wait after any failure
    #[arg(long, default_value = "10s", value_parser = parse_span)]
    backoff_max: Duration,
    /// Messages a topic holds, dead letters apart
    #[arg(long, default_value_t = 100_000)]
    depth_max: u64,
    /// Whether changes share an fsync or have one each (for comparison only)
    #[arg(long, default_value = "group")]
    commit: Sharing,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sharing {
    Group,
    Each,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("broker: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    let queue = Queue::open(&flags.store.path, options(&flags)).with_context(|| {
        format!("--store sqlite:{}: cannot be opened", flags.store.path.display())
    })?;
    let queue = Arc::new(queue);
    let listener = bind(flags.listen)?;
    let http = flags.http.map(bind).transpose().context("--http")?;
    let stop = CancellationToken::new();
    let signal = shutdown_signal().context("signals cannot be handled")?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        signal.await;
        stopping.cancel();
    });
    announce(&listener, http.as_ref())?;
    let side_door = side_door(http, Arc::clone(&queue), settings(&flags), &stop);
    let (served, ()) = tokio::join!(side_door, serve(listener, queue, stop.cancelled()));
    served
}

async fn side_door(
    http: Option<TcpListener>,
    queue: Arc<Queue>,
    settings: http_server::Settings,
    stop: &CancellationToken,
) -> Result<()> {
    let Some(listener) = http else { return Ok(()) };
    let limits = Limits::default().within_descriptors();
    let settings = settings.and(limits.settings());
    let door = Arc::new(Door::new(queue, Guard::from_environment(), settings));
    http_server::serve(listener, door, limits, stop.cancelled()).await?;
    Ok(())
}

/// Whoever reaches the port may publish and consume, so there is no flag to open it.
fn bind(listen: SocketAddr) -> Result<TcpListener> {
    if !listen.ip().is_loopback() {
        bail!("{listen}: expected a loopback address such as 127.0.0.1:{}", listen.port());
    }
    Ok(Listen { listen, any_address: false }.bind()?)
}

fn announce(listener: &TcpListener, http: Option<&TcpListener>) -> Result<()> {
    let address = listener.local_addr()?;
    match http {
        None => process_log::say(format_args!("listening on {address}")),
        Some(http) => {
            process_log::say(format_args!(
                "listening on {address}, http on {}",
                http.local_addr()?
            ));
        }
    }
    Ok(())
}

fn options(flags: &Flags) -> Options {
    let commit = match flags.commit {
        Sharing::Group => Commit::Group,
        Sharing::Each => Commit::Each,
    };
    Options { settings: topics(flags), commit, synchronous: flags.store.synchronous }
}

fn topics(flags: &Flags) -> Settings {
    Settings {
        lease: flags.lease,
        attempts_max: flags.attempts,
        backoff: Backoff { base: flags.backoff, max: flags.backoff_max },
        depth_max: flags.depth_max,
        durable: true,
    }
}

/// What the broker says of itself.
fn settings(flags: &Flags) -> http_server::Settings {
    let sharing = match flags.commit {
        Sharing::Group => "one fsync for all that wait",
        Sharing::Each => "one fsync for each",
    };
    topics(flags)
        .told()
        .with("store", format!("SQLite, {}, {sharing}", flags.store.synchronous))
        .with("version", env!("CARGO_PKG_VERSION"))
}

fn sqlite(url: &str) -> Result<Location, String> {
    let location = url.strip_prefix("sqlite:").ok_or("expected sqlite:/path/to/broker.db")?;
    Location::parse(location).map_err(|error| error.to_string())
}

//! The embedded broker as a process: flags in, a served queue out.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use brokers::embedded::{Options, Queue, serve};
use brokers::{Backoff, Door, Settings, parse_span};
use clap::{Parser, ValueEnum};
use group_commit::{Commit, Location, LocationError, Synchronous};
use http_server::{Guard, Limits, Listen, shutdown_signal};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Serves durable queues, kept in a log, to clients on this machine.
///
/// The environment variable TRIPTYCH_CONTROL_TOKEN allows to open and to replay dead letters.
#[derive(Parser)]
struct Flags {
    /// Where clients connect; loopback only
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The log: log:/path/to/broker.log, its segments beside it; durable unless ?synchronous=off or =normal follows
    #[arg(long, value_name = "URL", value_parser = log)]
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

fn main() -> ExitCode {
    match serve_all(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("broker: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One thread serves clients and writes the log: no message waits for another thread to wake. What people and scrapers
/// ask has a thread of its own, which can tell of a disk that hangs.
fn serve_all(flags: &Flags) -> Result<()> {
    let clients = runtime::Builder::new_current_thread().enable_all().build()?;
    let door = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    clients.block_on(run(flags, &door))
}

async fn run(flags: &Flags, apart: &Runtime) -> Result<()> {
    let queue = Queue::open(&flags.store.path, options(flags))
        .with_context(|| format!("--store log:{}: cannot be opened", flags.store.path.display()))?;
    let queue = Arc::new(queue);
    let listener = bind(flags.listen)?;
    let stop = CancellationToken::new();
    let door = flags.http.map(|address| open_door(address, flags, &queue, &stop, apart));
    let door = door.transpose().context("--http")?;
    let signal = shutdown_signal().context("signals cannot be handled")?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        signal.await;
        stopping.cancel();
    });
    announce(&listener, door.as_ref().map(|(address, _)| *address))?;
    serve(listener, queue, stop.cancelled()).await;
    match door {
        Some((_, served)) => Ok(served.await??),
        None => Ok(()),
    }
}

/// Serves the side door on a thread apart; returns where, and how it ends.
fn open_door(
    address: SocketAddr,
    flags: &Flags,
    queue: &Arc<Queue>,
    stop: &CancellationToken,
    apart: &Runtime,
) -> Result<(SocketAddr, JoinHandle<io::Result<()>>)> {
    let _inside = apart.enter();
    let listener = bind(address)?;
    let address = listener.local_addr()?;
    let limits = Limits::default().within_descriptors();
    let settings = settings(flags).and(limits.settings());
    let door = Arc::new(Door::new(Arc::clone(queue) as _, Guard::from_environment(), settings));
    let stop = stop.clone();
    let served = async move { http_server::serve(listener, door, limits, stop.cancelled()).await };
    Ok((address, apart.spawn(served)))
}

/// Whoever reaches the port may publish and consume, so there is no flag to open it.
fn bind(listen: SocketAddr) -> Result<TcpListener> {
    if !listen.ip().is_loopback() {
        bail!("{listen}: expected a loopback address such as 127.0.0.1:{}", listen.port());
    }
    Ok(Listen { listen, any_address: false }.bind()?)
}

fn announce(listener: &TcpListener, http: Option<SocketAddr>) -> Result<()> {
    let address = listener.local_addr()?;
    match http {
        None => process_log::say(format_args!("listening on {address}")),
        Some(http) => process_log::say(format_args!("listening on {address}, http on {http}")),
    }
    Ok(())
}

fn options(flags: &Flags) -> Options {
    let commit = match flags.commit {
        Sharing::Group => Commit::Group,
        Sharing::Each => Commit::Each,
    };
    Options { settings: topics(flags), commit, synchronous: flags.store.synchronous, alone: false }
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
    let answered = match flags.store.synchronous {
        Synchronous::Off => "no fsync",
        Synchronous::Normal => "fsync when a segment is full",
        Synchronous::Full => "fsync before it answers",
    };
    topics(flags)
        .told()
        .with("store", format!("a log, {answered}, {sharing}"))
        .with("version", env!("CARGO_PKG_VERSION"))
}

fn log(url: &str) -> Result<Location, String> {
    const EXPECTED: &str = "expected log:/path/to/broker.log";
    match Location::parse(url.strip_prefix("log:").ok_or(EXPECTED)?) {
        Ok(location) => Ok(location),
        Err(LocationError::NoPath) => Err(EXPECTED.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

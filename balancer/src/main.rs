//! The balancer as a process: flags in, one address before several replicas out.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use balancer::{Backends, Check, Door, Ejection, Limits, Patience, Policy, serve, watch};
use clap::Parser;
use http_server::{Listen, Settings, shutdown_signal};
use humantime::parse_duration;
use tokio_util::sync::CancellationToken;

/// One address before several replicas of an HTTP/1.1 server.
///
/// A request is tried elsewhere only if nothing of it was sent. It stops on SIGTERM, when what is under way is done.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    listen: Listen,
    /// Where health, metrics and settings are served
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: SocketAddr,
    /// A replica; repeat for more
    #[arg(long = "replica", value_name = "ADDRESS:PORT", required = true)]
    replicas: Vec<SocketAddr>,
    /// Who gets a request: round-robin, two-choices, or hash:HEADER
    #[arg(long, default_value = "two-choices")]
    policy: Policy,
    /// What replicas are asked for to see whether they can work
    #[arg(long, default_value = "/readyz")]
    check: String,
    /// How often
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    check_every: Duration,
    /// How long an answer to that may take
    #[arg(long, default_value = "500ms", value_parser = parse_duration)]
    check_within: Duration,
    /// A replica is down after so many failed checks in a row
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    down_after: u32,
    /// It is up again after so many good ones in a row
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    up_after: u32,
    /// A replica is left out after so many failed requests in a row; 0: never
    #[arg(long, default_value_t = 5)]
    eject_after: u32,
    /// For how long, times the number of times in a row
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    eject_for: Duration,
    /// How often a request of which nothing was sent is tried elsewhere
    #[arg(long, default_value_t = 2)]
    elsewhere: u32,
    /// How long a replica may be silent during a request
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    answer_within: Duration,
    /// Connections of clients at once; more wait
    #[arg(long, default_value_t = 4_096)]
    clients: usize,
    /// Connections to each replica that wait for work
    #[arg(long, default_value_t = 256)]
    idle: usize,
}

/// How long a client may be silent, and a connection to a replica may wait for work: less than ours let it.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
const IDLE_FOR: Duration = Duration::from_secs(20);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// For what is under way at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// One thread: a request is passed on without waking another.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("balancer: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    let limits = Limits {
        clients: flags.clients,
        idle: flags.idle,
        idle_for: IDLE_FOR,
        connect: CONNECT_WITHIN,
    };
    let ejection = Ejection { after: flags.eject_after, lasts: flags.eject_for };
    let backends = Arc::new(Backends::new(&flags.replicas, flags.policy.clone(), ejection, limits));
    let listener = flags.listen.bind()?;
    let http = Listen { listen: flags.http, any_address: false }.bind().context("--http")?;
    let stop = CancellationToken::new();
    let signal = shutdown_signal().context("signals cannot be handled")?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        signal.await;
        stopping.cancel();
    });
    let check = Check {
        path: flags.check.clone(),
        every: flags.check_every,
        within: flags.check_within,
        down_after: flags.down_after,
        up_after: flags.up_after,
    };
    for backend in backends.all() {
        tokio::spawn(watch(Arc::clone(backend), check.clone()));
    }
    let (address, side) = (listener.local_addr()?, http.local_addr()?);
    process_log::say(format_args!("listening on {address}, http on {side}"));
    let door = Arc::new(Door::new(Arc::clone(&backends), settings(&flags)));
    let door_limits = http_server::Limits { connections_max: 64, ..http_server::Limits::default() };
    let patience = Patience {
        client: CLIENT_PATIENCE,
        replica: flags.answer_within,
        elsewhere: flags.elsewhere,
        drain: DRAIN,
    };
    let (served, ()) = tokio::join!(
        http_server::serve(http, door, door_limits, stop.cancelled()),
        serve(listener, backends, patience, stop.cancelled()),
    );
    Ok(served?)
}

/// What the balancer says of itself.
fn settings(flags: &Flags) -> Settings {
    let ejection = match flags.eject_after {
        0 => "never".to_owned(),
        after => format!("after {after} failures, {} s times n", flags.eject_for.as_secs_f64()),
    };
    let Flags { check, check_every, check_within, down_after, up_after, .. } = flags;
    let (every, within) = (check_every.as_secs_f64(), check_within.as_secs_f64());
    let checks = format!(
        "GET {check} every {every} s, {within} s; down after {down_after}, up after {up_after}"
    );
    Settings::default()
        .with("replicas", flags.replicas.len())
        .with("choice", &flags.policy)
        .with("health checks", checks)
        .with("ejection", ejection)
        .with("tried elsewhere", format!("{} times, if nothing was sent", flags.elsewhere))
        .time("time-out of an answer", flags.answer_within)
        .with("connections at once", flags.clients)
        .with("version", env!("CARGO_PKG_VERSION"))
}

//! The side door of a broker that others wrote, and its server with it: they start, stop and end together.

use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use brokers::{Afar, Door};
use clap::Parser;
use http_server::{Guard, Limits, Listen, shutdown_signal};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What opens and replays dead letters is not the server's to know.
const CONTROL_TOKEN: &str = "TRIPTYCH_CONTROL_TOKEN";
/// How long a server may take to stop.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Starts a server, and serves health, settings and dead letters of the broker that it is.
///
/// The environment variable TRIPTYCH_CONTROL_TOKEN allows to open and to replay dead letters.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// The broker, as its clients name it: redis://HOST:PORT?lease=10s
    #[arg(long, value_name = "URL")]
    broker: String,
    /// Where health, settings and dead letters are served; loopback only
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: SocketAddr,
    /// The server's program and arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    server: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("broker-door: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    let broker = brokers::connect(&flags.broker).context("--broker")?;
    let (signal, limits) = (shutdown_signal()?, Limits::default().within_descriptors());
    let settings = brokers::told(&flags.broker).context("--broker")?.and(limits.settings());
    let store = format!("{}, refused unless it has to fsync before it answers", flags.server[0]);
    let settings = settings.with("store", store).with("version", env!("CARGO_PKG_VERSION"));
    if !flags.http.ip().is_loopback() {
        bail!("--http {}: expected a loopback address", flags.http);
    }
    let listener = Listen { listen: flags.http, any_address: false }.bind().context("--http")?;
    let mut server = start(&flags.server)?;
    process_log::say(format_args!("http on {}", listener.local_addr()?));
    let door =
        Arc::new(Door::new(Arc::new(Afar::new(broker)), Guard::from_environment(), settings));
    let stop = CancellationToken::new();
    let served =
        tokio::spawn(http_server::serve(listener, door, limits, stop.clone().cancelled_owned()));
    let ended = tokio::select! {
        () = signal => end(&mut server).await,
        ended = server.wait() => Err(anyhow::anyhow!("the server ended by itself: {}", ended?)),
    };
    stop.cancel();
    served.await??;
    ended
}

fn start(command: &[String]) -> Result<Child> {
    let mut server = Command::new(&command[0]);
    server.args(&command[1..]).env_remove(CONTROL_TOKEN).stdin(Stdio::null()).kill_on_drop(true);
    server.spawn().with_context(|| format!("{} cannot be started; is it installed?", command[0]))
}

/// Tells it to stop, and waits.
async fn end(server: &mut Child) -> Result<()> {
    let pid = server.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    kill_process(pid.context("the server has ended")?, Signal::TERM)?;
    let ended = timeout(STOP_MAX, server.wait()).await.context("the server does not stop")??;
    if ended.success() { Ok(()) } else { bail!("the server stopped with {ended}") }
}

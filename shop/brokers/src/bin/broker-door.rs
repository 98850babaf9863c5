//! The side door of a broker that others wrote, and its server with it: they start, stop and end together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use brokers::{Afar, Door};
use clap::Parser;
use http_server::{Guard, Limits, Listen, shutdown_signal};
use servers::{Output, Place, Recipe};
use tokio_util::sync::CancellationToken;

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
    /// Which server: the name of a recipe, such as redis
    #[arg(long, value_name = "NAME")]
    server: String,
    /// The port of loopback where it serves its clients
    #[arg(long)]
    port: u16,
    /// Where its clients are told to come, by a server that tells them [default: the port itself]
    #[arg(long, value_name = "ADDRESS:PORT")]
    advertised: Option<SocketAddr>,
    /// A folder of its own, made if it is not there
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
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
    let recipe = recipe(&flags.server)?;
    let version = recipe.version().unwrap_or_else(|| "unknown".to_owned());
    let store = format!("{}, refused unless it has to fsync before it answers", flags.server);
    let settings = settings.with("store", store).with("version", version);
    if !flags.http.ip().is_loopback() {
        bail!("--http {}: expected a loopback address", flags.http);
    }
    let listener = Listen { listen: flags.http, any_address: false }.bind().context("--http")?;
    std::fs::create_dir_all(&flags.data).context("--data")?;
    let mut place = Place::durable(flags.port, flags.data);
    place.advertised = flags.advertised.unwrap_or(place.advertised);
    let mut server = recipe.start(&place, Output::Shown).await?;
    process_log::say(format_args!("http on {}", listener.local_addr()?));
    let door =
        Arc::new(Door::new(Arc::new(Afar::new(broker)), Guard::from_environment(), settings));
    let stop = CancellationToken::new();
    let served =
        tokio::spawn(http_server::serve(listener, door, limits, stop.clone().cancelled_owned()));
    let ended = tokio::select! {
        () = signal => server.stop().await,
        ended = server.ended() => Err(anyhow::anyhow!("the server ended by itself: {}", ended?)),
    };
    stop.cancel();
    served.await??;
    ended
}

fn recipe(name: &str) -> Result<&'static Recipe> {
    servers::recipe(name).with_context(|| {
        let known: Vec<_> = servers::recipes().iter().map(|recipe| recipe.name).collect();
        format!("--server {name}: expected one of {}", known.join(", "))
    })
}

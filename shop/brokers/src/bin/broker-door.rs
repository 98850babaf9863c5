//! The side door of a broker that others wrote, and its server with it: they start, stop and end together.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use brokers::{Afar, Door};
use clap::Parser;
use http_server::{Guard, Limits};
use servers::{Attended, Place};

/// Starts a server, and serves health, settings and dead letters of the broker that it is.
///
/// The environment variable TRIPTYCH_CONTROL_TOKEN allows to open and to replay dead letters;
/// TRIPTYCH_CLUSTER_SECRET is what the nodes of a cluster know each other by, where a server wants that.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// The broker, as its clients name it: redis://HOST:PORT?lease=10s
    #[arg(long, value_name = "URL")]
    broker: String,
    #[command(flatten)]
    attended: Attended,
    /// Where its clients are told to come, by a server that tells them [default: the port itself]
    #[arg(long, value_name = "ADDRESS:PORT")]
    advertised: Option<SocketAddr>,
    /// Where the nodes of its cluster meet each other, in one order for all of them
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',', requires = "node")]
    nodes: Vec<SocketAddr>,
    /// Which of the nodes it is, from 1
    #[arg(long, requires = "nodes", value_parser = clap::value_parser!(u8).range(1..))]
    node: Option<u8>,
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
    let limits = Limits::default().within_descriptors();
    let settings = brokers::told(&flags.broker).context("--broker")?.and(limits.settings());
    let Attended { server, port, data, http } = flags.attended;
    let recipe = servers::known(&server)?;
    let version = recipe.version().unwrap_or_else(|| "unknown".to_owned());
    let store = format!("{server}, {}", kept(&server));
    let settings = settings.with("store", store).with("version", version);
    let mut place = Place::durable(port, data);
    place.advertised = flags.advertised.unwrap_or(place.advertised);
    if let Some(node) = flags.node {
        let (node, all) = (usize::from(node), flags.nodes.len());
        ensure!(node <= all, "--node {node}: there are {all} --nodes");
        (place.node, place.nodes) = (node - 1, flags.nodes);
        place.secret = std::env::var(servers::CLUSTER_SECRET).ok();
    }
    let door = Door::new(Arc::new(Afar::new(broker)), Guard::from_environment(), settings);
    let door = match recipe.leads.filter(|_| !place.nodes.is_empty()) {
        Some(leads) => {
            let place = place.clone();
            door.leading(Arc::new(move |topic| leads(&place, topic)))
        }
        None => door,
    };
    servers::attend(recipe, &place, http, Arc::new(door), limits).await
}

/// What an answer of it means.
fn kept(server: &str) -> &'static str {
    match server {
        server if servers::FORGETFUL.contains(&server) => "which keeps nothing over its end",
        server if servers::CARELESS.contains(&server) => "which answers before it fsyncs",
        _ => "started so as to fsync before it answers",
    }
}

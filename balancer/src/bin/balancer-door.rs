//! A balancer that others wrote, and a door beside it for health and settings: they start, stop and end together.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use clap::Parser;
use http_server::{Limits, ReadyCheck, Settings};
use servers::{Attended, Place};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Starts a balancer, and serves its health and settings.
#[derive(Parser)]
#[command(version)]
struct Flags {
    #[command(flatten)]
    attended: Attended,
    /// A replica; repeat for more
    #[arg(long = "replica", value_name = "ADDRESS:PORT", required = true)]
    replicas: Vec<SocketAddr>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("balancer-door: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    let Flags { attended: Attended { server, port, data, http }, replicas } = flags;
    let recipe = servers::known(&server)?;
    let limits = Limits::default().within_descriptors();
    let version = recipe.version().unwrap_or_else(|| "unknown".to_owned());
    let settings = Settings::default()
        .with("replicas", replicas.len())
        .with("choice", "two-choices")
        .with("health checks", "GET /readyz every 1 s, 0.5 s; down after 2, up after 2")
        .with("ejection", "never")
        .with("tried elsewhere", "2 times, if no connection could be made")
        .with("version", version)
        .and(limits.settings());
    let mut place = Place::durable(port, data);
    place.nodes = replicas;
    let door = servers::door(Arc::new(Monitored(port)), settings);
    servers::attend(recipe, &place, http, door, limits).await.context(server)
}

/// Whether it says itself that a replica is up.
struct Monitored(u16);

#[async_trait]
impl ReadyCheck for Monitored {
    async fn ready(&self) -> Result<(), String> {
        let told = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.0)).await.map_err(told)?;
        let asked = format!("GET {} HTTP/1.0\r\n\r\n", servers::MONITORED);
        stream.write_all(asked.as_bytes()).await.map_err(told)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(told)?;
        let status = answer.split(' ').nth(1).unwrap_or("nothing");
        if status == "200" { Ok(()) } else { Err(format!("no replica is up: it answers {status}")) }
    }
}

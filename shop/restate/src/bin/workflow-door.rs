//! Restate's server, and a door beside it for health and settings: they start, stop and end together.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use clap::Parser;
use http_server::{Limits, ReadyCheck, Settings};
use restate::{Admin, Ingress};
use servers::{Attended, Place};
use tokio::time::sleep;

const AGAIN: Duration = Duration::from_millis(200);

/// Starts a server of workflows, and serves its health and settings.
#[derive(Parser)]
#[command(version)]
struct Flags {
    #[command(flatten)]
    attended: Attended,
    /// The port of loopback where services are made known to it
    #[arg(long)]
    admin: u16,
    /// Where it shall call the workflows; it is told so as soon as they are there
    #[arg(long, value_name = "ADDRESS:PORT")]
    worker: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("workflow-door: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    let Flags { attended: Attended { server, port, data, http }, admin, worker } = flags;
    let recipe = servers::known(&server)?;
    let limits = Limits::default().within_descriptors();
    let version = recipe.version().unwrap_or_else(|| "unknown".to_owned());
    let settings = Settings::default()
        .with("store", format!("{server}, started so as to fsync before it answers"))
        .with("version", version)
        .and(limits.settings());
    let mut place = Place::durable(port, data);
    place.also = vec![format!("[admin]\nbind-port = {admin}\ndisable-web-ui = true")];
    let door = Door(Ingress::new(&format!("127.0.0.1:{port}")));
    tokio::spawn(introduce(Admin::new(&format!("127.0.0.1:{admin}")), worker));
    let door = servers::door(Arc::new(door), settings);
    servers::attend(recipe, &place, http, door, limits).await.context(server)
}

/// Tells the server of the workflows, as who deploys them does: until it knows them.
async fn introduce(admin: Admin, worker: SocketAddr) {
    while admin.introduce(worker).await.is_err() {
        sleep(AGAIN).await;
    }
}

struct Door(Ingress);

#[async_trait]
impl ReadyCheck for Door {
    async fn ready(&self) -> Result<(), String> {
        self.0.healthy().await.map_err(|error| error.to_string())
    }
}

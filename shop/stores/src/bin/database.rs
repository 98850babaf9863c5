//! A database server that others wrote, and a door beside it for health and settings: they start, stop and end
//! together.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use clap::Parser;
use http_server::{Limits, ReadyCheck, Settings};
use postgres_pool::{Pool, Target};
use servers::{Attended, Place};
use tokio::sync::Mutex;

/// Starts PostgreSQL, and serves its health and settings.
///
/// The environment variable TRIPTYCH_DATABASE_PASSWORD is what the server asks for, from the first start on
/// its folder; without it whoever reaches it comes in, as `shop`.
#[derive(Parser)]
#[command(version)]
struct Flags {
    #[command(flatten)]
    attended: Attended,
    /// A database that shall be there besides `postgres`; as often as wanted
    #[arg(long = "database", value_name = "NAME")]
    databases: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("database: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    let Flags { attended: Attended { server, port, data, http }, databases } = flags;
    let recipe = servers::known(&server)?;
    let target = Target::parse(&format!("127.0.0.1:{port}?pool=1"));
    let target = target.map_err(anyhow::Error::msg)?;
    let owed = Mutex::new(databases);
    let door = Door { pool: Pool::new(target, None), owed };
    let limits = Limits::default().within_descriptors();
    let version = recipe.version().unwrap_or_else(|| "unknown".to_owned());
    let settings = Settings::default()
        .with("store", format!("{}, refused unless it has to fsync before it answers", recipe.name))
        .with("version", version)
        .and(limits.settings());
    let door = servers::door(Arc::new(door), settings);
    let place = Place::durable(port, data);
    servers::attend(recipe, &place, http, door, limits).await.context(server)
}

/// Whether the server answers, and has the databases that it shall have.
struct Door {
    pool: Pool,
    owed: Mutex<Vec<String>>,
}

#[async_trait]
impl ReadyCheck for Door {
    async fn ready(&self) -> Result<(), String> {
        let told = |error: postgres_pool::Error| error.to_string();
        let mut owed = self.owed.lock().await;
        while let Some(name) = owed.last() {
            let quoted = name.replace('"', "\"\"");
            let made = self.pool.run(&format!("create database \"{quoted}\"")).await;
            // From an earlier start.
            if !matches!(&made, Err(error) if error.to_string().contains("(42P04)")) {
                made.map_err(told)?;
            }
            owed.pop();
        }
        self.pool.ask("select 1", &[]).await.map(drop).map_err(told)
    }
}

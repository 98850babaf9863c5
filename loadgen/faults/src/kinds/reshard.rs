//! Orders take a further database into use while the load runs.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::kind::{Example, Facts, Kind, Lasts, Targets};
use crate::proof::Proof;
use crate::stage::Scene;
use record::atomic_write::write_json;
use record::{Moved, files};
use scenario::system::ProcessSpec;
use supervise::asking;

const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// As long as a move of many orders may take beside a load.
const MOVED_WITHIN: Duration = Duration::from_secs(120);
/// Each look counts all orders.
const POLL: Duration = Duration::from_millis(200);
const BYTES_MAX: usize = 64 * 1024;
/// What the URL of a store begins with that can be spread further.
const SPREAD: &str = "shards:";

/// Orders take a further database into use: one more on the ring, or half of those of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshard {
    /// The database that gives half of its customers; without it all give a part of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<u32>,
}

/// What a system tells of its orders' places.
#[derive(Deserialize)]
struct Told {
    used: u64,
    moving: Option<Moving>,
}

#[derive(Deserialize)]
struct Moving {
    done: bool,
    customers: u64,
    orders: u64,
    stayed: u64,
    took_ms: u64,
    error: Option<String>,
}

impl Kind for Reshard {
    const FACTS: Facts = Facts {
        name: "reshard",
        targets: Targets::Only("orders", ", which are spread over databases"),
        lasts: Lasts::Never,
        // The record tells of one move.
        once: true,
        state: "spread further",
        about: "takes the next database into use: it gets a part of the customers of each, or with `split` half of those of that one, counted from 0; only where orders are spread",
        seen: "what `/shards` tells: all is where it belongs",
        healed: "nothing is taken back; it is ready",
        example: Example { target: "orders", lasts: "", parameters: "" },
        ..Facts::ROLE
    };

    type Held = ();

    fn check_process(&self, process: &ProcessSpec) -> Result<(), String> {
        if process.command.iter().any(|word| word.starts_with(SPREAD)) {
            return Ok(());
        }
        Err(format!("what {} keeps is in one database: its --store is no {SPREAD}…", process.name))
    }

    /// Begins the move and waits for its end. Proof: what the system tells of it then.
    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        let url = format!("{}/shards", scene.stage.running.spec.entry.orders.first());
        let http = supervise::http::client(ANSWERS_WITHIN)?;
        let token = scene.stage.operator_token;
        let ask = async |request: RequestBuilder, what: &str| {
            let what = format!("{what} {url}");
            asking::ask_json::<Told>(request.bearer_auth(token), BYTES_MAX, &what).await
        };
        let how = match self.split {
            None => json!({"add": {}}),
            Some(of) => json!({"split": {"of": of}}),
        };
        let mut told = ask(http.post(&url).json(&how), "POST").await?;
        let end = Instant::now() + MOVED_WITHIN;
        let moving = loop {
            let moving = told.moving.take().context("it tells of no move")?;
            if moving.done {
                break moving;
            }
            if Instant::now() >= end {
                let error = moving.error.unwrap_or_else(|| "no error is told".to_owned());
                bail!("the move does not end within {} s: {error}", MOVED_WITHIN.as_secs());
            }
            sleep(POLL).await;
            told = ask(http.get(&url), "GET").await?;
        };
        let Moving { customers, orders, stayed, took_ms, .. } = moving;
        let moved = Moved { databases: told.used, customers, stayed, orders, took_ms };
        write_json(&scene.stage.folder.join(files::MOVED), &moved)?;
        let all = customers + stayed;
        Ok(format!(
            "{} databases; {customers} of {all} customers and {orders} orders moved in {took_ms} ms",
            told.used
        ))
    }

    /// Proof: it is ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        scene.raise().await
    }
}

//! The manager as a process. It asks nobody: servers ask it, and it is told to nobody before it is on its disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use clap::ValueEnum;
use failover::{Kept, NODES, Order, Report, Shard, Timing};
use http::{Method, Request, Response, StatusCode};
use http_server::{
    Always, Guard, Handler, Limits, Listen, Metrics, Observed, Settings, json, not_allowed,
    problem, shutdown_signal,
};
use process_log::tell;
use tokio::time::Instant;

use crate::notes;

const FILE: &str = "shards.json";
/// More than anybody has here.
const SHARDS_MAX: usize = 64;
const NAME_MAX: usize = 32;
/// What a server is given to end PostgreSQL when its lease is over: it does so at that moment, if it has a processor.
const GRACE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    listen: Listen,
    /// A folder of its own, made if it is not there
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// How long a server may be written to without having asked again; a second at least
    #[arg(long, default_value = "2s", value_parser = lease)]
    lease: Duration,
    /// Whether a commit is answered only when the copy has it, too, while there is a copy
    #[arg(long, default_value = "synchronous")]
    replication: Replication,
}

/// Shorter than a question may take, it would be over before it is heard of.
const LEASE_MIN: Duration = Duration::from_secs(1);

fn lease(text: &str) -> Result<Duration, String> {
    let lease = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if lease < LEASE_MIN {
        return Err(format!("expected 1s or longer, found {text}"));
    }
    Ok(lease)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Replication {
    /// It is
    Synchronous,
    /// It is not: what was not copied yet is lost with its server
    Asynchronous,
}

/// Serves until a signal.
pub(crate) async fn run(flags: Flags) -> Result<()> {
    let signal = shutdown_signal()?;
    std::fs::create_dir_all(&flags.data).context("--data")?;
    let file = flags.data.join(FILE);
    let kept: BTreeMap<String, Kept> = notes::read(&file)?.unwrap_or_default();
    let timing = Timing { lease: flags.lease, grace: GRACE };
    let is_synchronous = flags.replication == Replication::Synchronous;
    let now = Instant::now();
    let known = |(name, kept)| (name, Shard::new(kept, timing, is_synchronous, now));
    let shards = Mutex::new(kept.into_iter().map(known).collect());
    let manager = Arc::new(Manager { file, timing, is_synchronous, shards });
    let limits = Limits::default().within_descriptors();
    let how = if is_synchronous { "synchronous" } else { "asynchronous" };
    let settings = Settings::default()
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("store", "who writes, in a file, with an fsync before it answers")
        .with("replication", how)
        .time("lease of a primary", flags.lease)
        .time("it is given to end after that", GRACE)
        .and(limits.settings());
    let handler =
        Observed::telling(manager, Arc::new(Always), Arc::new(Metrics::default()), settings);
    let listener = flags.listen.bind()?;
    process_log::say(format_args!("listening on {}", listener.local_addr()?));
    http_server::serve(listener, handler, limits, signal).await?;
    Ok(())
}

struct Manager {
    file: PathBuf,
    timing: Timing,
    is_synchronous: bool,
    shards: Mutex<BTreeMap<String, Shard>>,
}

impl Manager {
    /// Hears a server. What changes by that is on the disk first; while it cannot be, nothing changes.
    fn heard(&self, name: &str, node: usize, report: &Report) -> Result<Option<Order>> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let known = shards.get(name);
        anyhow::ensure!(known.is_some() || shards.len() < SHARDS_MAX, "too many pairs");
        let fresh = || Shard::new(Kept::default(), self.timing, self.is_synchronous, now);
        let mut shard = known.cloned().unwrap_or_else(fresh);
        let before = known.map(|known| known.kept);
        let order = shard.heard(node, report, now);
        if before != Some(shard.kept) {
            let mut all: BTreeMap<&str, Kept> =
                shards.iter().map(|(name, shard)| (name.as_str(), shard.kept)).collect();
            all.insert(name, shard.kept);
            notes::write(&self.file, &all)?;
            tell_of(name, &shard.kept);
        }
        shards.insert(name.to_owned(), shard);
        Ok(order)
    }

    fn all(&self) -> BTreeMap<String, Kept> {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|(name, shard)| (name.clone(), shard.kept)).collect()
    }
}

fn tell_of(name: &str, kept: &Kept) {
    tell("shard", || {
        [
            ("shard", name.into()),
            ("term", kept.term.into()),
            ("primary", kept.primary.into()),
            ("followed", kept.followed.into()),
        ]
    });
}

#[async_trait]
impl Handler for Manager {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        if let Some(refused) = Guard::new(None).stranger(&request) {
            return refused;
        }
        let path = request.uri().path().to_owned();
        if path == "/shards" {
            return match *request.method() {
                Method::GET => json(StatusCode::OK, &self.all()),
                _ => not_allowed("GET"),
            };
        }
        let Some((name, node)) = node(&path) else {
            return problem(StatusCode::NOT_FOUND, "not-found", "see GET /shards");
        };
        if request.method() != Method::POST {
            return not_allowed("POST");
        }
        let report: Report = match serde_json::from_slice(request.body()) {
            Ok(report) => report,
            Err(error) => {
                return problem(StatusCode::BAD_REQUEST, "invalid", &format!("the body: {error}"));
            }
        };
        match self.heard(name, node, &report) {
            Ok(Some(order)) => json(StatusCode::OK, &order),
            Ok(None) => problem(StatusCode::CONFLICT, "overtaken", "it has asked again since"),
            Err(error) => {
                problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &format!("{error:#}"))
            }
        }
    }

    fn route(&self, _: &Method, path: &str) -> &'static str {
        match path {
            "/shards" => "/shards",
            path if node(path).is_some() => "/shards/{shard}/nodes/{node}",
            _ => "other",
        }
    }
}

/// Which server of which pair.
fn node(path: &str) -> Option<(&str, usize)> {
    let (name, node) = path.strip_prefix("/shards/")?.split_once("/nodes/")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(plain);
    let node = node.parse().ok().filter(|node| *node < NODES);
    Some((name, node?)).filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_server_of_a_pair() {
        assert_eq!(node("/shards/one-2/nodes/1"), Some(("one-2", 1)));
        for wrong in ["one/nodes/2", "/nodes/0", "One/nodes/0", "a/b/nodes/0", "a/nodes/0/"] {
            assert_eq!(node(&format!("/shards/{wrong}")), None, "{wrong}");
        }
    }

    #[test]
    fn a_lease_is_longer_than_a_question_takes() {
        assert_eq!(lease("1s"), Ok(LEASE_MIN));
        for wrong in ["999ms", "0s", "soon"] {
            assert!(lease(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_told_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let timing = Timing { lease: GRACE, grace: GRACE };
        let file = folder.path().join("away").join(FILE);
        let shards = Mutex::default();
        let manager = Manager { file: file.clone(), timing, is_synchronous: true, shards };
        let report = Report { life: 1, ..Report::default() };
        assert!(manager.heard("one", 0, &report).is_err());
        assert!(manager.all().is_empty());
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        let order = manager.heard("one", 0, &report).unwrap();
        assert_eq!(order.map(|order| order.term), Some(1));
        let kept: Option<BTreeMap<String, Kept>> = notes::read(&file).unwrap();
        assert_eq!(kept, Some(manager.all()));
    }
}

//! `/readyz` tells within 2 s what a request would meet: whoever is needed is dead, the database is locked,
//! the disk refuses. When that is over, it says so.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::programs::all_of;
use crate::stand::Stand;

const TOLD_WITHIN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// Who cannot work without whom: the role that dies, the roles that need it.
const NEEDS: [(&str, &[&str]); 7] = [
    ("provider", &["payments"]),
    ("payments", &["orders"]),
    ("notifications", &["orders"]),
    ("inventory", &["orders"]),
    ("broker", &["orders", "payments", "notifications", "inventory"]),
    ("database", &["auth", "orders", "payments"]),
    ("shard", &["orders"]),
];

pub(crate) async fn tell(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::start(system).await?;
    for index in 0..stand.running.spec.processes.len() {
        Server::of(&stand, index)?.becomes(200).await?;
    }
    for index in 0..stand.running.spec.processes.len() {
        if let Some(database) = database(&stand, index) {
            locked(&Server::of(&stand, index)?, database).await?;
            refusing(&mut stand, index).await?;
        }
    }
    for (dies, needed_by) in NEEDS {
        death(&mut stand, dies, needed_by).await.with_context(|| format!("{dies} is dead"))?;
    }
    stand.stop().await;
    Ok(())
}

struct Server {
    name: String,
    ready: String,
    http: reqwest::Client,
}

impl Server {
    fn of(stand: &Stand, index: usize) -> anyhow::Result<Self> {
        let process = &stand.running.spec.processes[index];
        let (name, ready) = (process.name.clone(), process.ready.clone());
        Ok(Self { name, ready, http: supervise::http::client(PATIENCE)? })
    }

    /// Asks until this is told, and within the time that it has: on a machine where much runs, one answer may be late.
    async fn becomes(&self, status: u16) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let begun = Instant::now();
            let answer = self.http.get(&self.ready).send().await?;
            let (found, text) = (answer.status().as_u16(), answer.text().await?);
            let took = begun.elapsed();
            if found == status && took < TOLD_WITHIN {
                return Ok(text);
            }
            ensure!(Instant::now() < deadline, "{}: {found} {text} after {took:?}", self.name);
            sleep(POLL).await;
        }
    }

    async fn refuses(&self) -> anyhow::Result<()> {
        let text = self.becomes(503).await?;
        ensure!(text.contains("problem:not-ready"), "{text}");
        Ok(())
    }
}

fn database(stand: &Stand, index: usize) -> Option<PathBuf> {
    let command = &stand.running.spec.processes[index].command;
    command.iter().find_map(|word| word.strip_prefix("sqlite:")).map(PathBuf::from)
}

/// Another process has the write lock.
async fn locked(server: &Server, database: PathBuf) -> anyhow::Result<()> {
    let stranger = rusqlite::Connection::open(&database)?;
    stranger.busy_timeout(PATIENCE)?;
    stranger.execute_batch("begin immediate")?;
    server.refuses().await.with_context(|| format!("{} is locked", database.display()))?;
    stranger.execute_batch("rollback")?;
    server.becomes(200).await.map(drop)
}

/// No fsync succeeds.
async fn refusing(stand: &mut Stand, index: usize) -> anyhow::Result<()> {
    let server = Server::of(stand, index)?;
    let pid = stand.running.pid(index).context("no process")?;
    let inject = "inject=fsync,fdatasync:error=EIO";
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", inject, "-o", "/dev/null"]);
    strace.args(["-p", &pid.to_string()]).stdin(Stdio::null()).kill_on_drop(true);
    let mut strace = match strace.spawn() {
        Ok(strace) => strace,
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: strace cannot be started ({error})");
            return Ok(());
        }
        Err(error) => bail!("strace cannot be started: {error}"),
    };
    server.refuses().await.context("no fsync succeeds")?;
    let strace_pid = strace.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    // It lets go of the process before it ends.
    kill_process(strace_pid.context("strace has ended")?, Signal::TERM)?;
    strace.wait().await?;
    server.becomes(200).await.map(drop)
}

async fn death(stand: &mut Stand, dies: &str, needed_by: &[&str]) -> anyhow::Result<()> {
    let dead = all_of(&stand.running.spec, dies);
    // Who answers later needs none of those.
    let behind = matches!(dies, "payments" | "notifications" | "inventory");
    if dead.is_empty() || behind && stand.answers_later() {
        return Ok(());
    }
    for index in &dead {
        stand.running.kill(*index).await?;
    }
    let needing: Vec<usize> =
        needed_by.iter().flat_map(|role| stand.running.spec.players(role)).collect();
    let needing: Vec<usize> = needing.into_iter().filter(|index| !dead.contains(index)).collect();
    for index in &needing {
        Server::of(stand, *index)?.refuses().await?;
    }
    for index in &dead {
        stand.running.launch(*index).await?;
    }
    for index in &needing {
        Server::of(stand, *index)?.becomes(200).await?;
    }
    Ok(())
}

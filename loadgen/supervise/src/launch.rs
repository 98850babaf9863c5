//! A running system: its processes, started and stopped by handle. Each has a keeper, below which all that
//! it starts stays.
//!
//! All processes stay in the session of the harness: the kernel's autogroup scheduler gives a share
//! to each session, and five services must not get five shares where a monolith gets one. Each is a
//! process group of its own, so that a Ctrl-C in the terminal reaches the harness alone.

mod commits;
mod ending;
mod fill;
mod kept;
mod ports;
mod program;
mod ready;
pub mod secrets;
mod settings;
mod user;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::cores::Cores;
use crate::disk::Disk;
use crate::folder::{DATA, LOGS, OUTSIDE};
use crate::http::address;
use crate::logs;
use crate::mutex::lock;
use crate::undo::{Entry, MARK, UndoLog};
use crate::watched::{InForce, Watched};
use fill::{Filled, fill};
use kept::Kept;
use link_proxy::{Direction, LinkFault, Links};
use ports::Reserved;
use program::{find_program, own_program};
use scenario::DiskSpec;
use scenario::config::Span;
use scenario::system::{LINKS, ProcessSpec, SystemSpec};
use user::Account;

pub use ending::aborted;
pub use program::check_programs;
pub use secrets::Secrets;
pub use settings::{Settings, by_name};

/// Three nodes that others wrote take half of it on a busy machine, until they are one cluster.
const READY_WITHIN: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(10);
/// A listener that does not accept leaves a connection unanswered.
const FREE_WITHIN: Duration = Duration::from_secs(1);
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// A system's processes.
pub struct Running {
    /// The system file with all `{…}` filled in.
    pub spec: SystemSpec,
    /// The processes in force.
    pub watched: InForce,
    /// How to take back what is done.
    pub undo: UndoLog,
    /// The disk that the data lies on, if it is one of its own.
    pub disk: Option<Disk>,
    children: Vec<Option<Started>>,
    /// Who ended by itself, and was started again or is forgotten.
    lost: Vec<String>,
    versions: Vec<u32>,
    /// Which of them were started before, with what they keep.
    begun: Vec<bool>,
    /// The fault proxy, where links go through it.
    pub links: Option<Links>,
    /// Nobody else's while this lives, whoever of the processes is dead.
    _ports: Reserved,
    secrets: Secrets,
    cores: Cores,
    logs: PathBuf,
    http: reqwest::Client,
}

/// A process that was started and of which somebody may be left.
struct Started {
    kept: Kept,
    /// In the undo journal.
    entry: Entry,
    /// A fault is in it of which it may end.
    may_end: bool,
}

/// Stopped while the system was being started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the system was ready")]
pub struct Interrupted;

/// A process of the system runs, and was not ready in time: where other programs have the cores it may be
/// another time. Which one, and its log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(String);

/// Adds to an error what only the final sweep took back, or could not.
///
/// # Errors
/// The same one.
pub fn with_leftovers<T>(result: anyhow::Result<T>, left: &[String]) -> anyhow::Result<T> {
    let told = |error: anyhow::Error| match left {
        [] => error,
        left => error.context(format!("the trial failed, and at its end: {}", left.join("; "))),
    };
    result.map_err(told)
}

impl Running {
    /// Starts all processes in order, each when the one before is ready. With a seed for its draws
    /// all links go through the fault proxy.
    ///
    /// # Errors
    /// If a program is missing, ends by itself, or is not ready in time, and [`Interrupted`] when
    /// `interrupt` becomes true; what was started is stopped.
    pub async fn start(
        spec: &SystemSpec,
        folder: &Path,
        secrets: &Secrets,
        cores: &Cores,
        links: Option<u64>,
        interrupt: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        Self::start_on(None, spec, folder, secrets, cores, links, interrupt).await
    }

    /// As [`Self::start`], with the data on a disk of its own, if one is given.
    ///
    /// # Errors
    /// As [`Self::start`], and if the disk cannot be had; then nothing is left mounted.
    pub async fn start_on(
        disk: Option<DiskSpec>,
        spec: &SystemSpec,
        folder: &Path,
        secrets: &Secrets,
        cores: &Cores,
        links: Option<u64>,
        interrupt: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let logs = folder.join(LOGS);
        for path in [&folder.join(DATA), &folder.join(OUTSIDE), &logs] {
            std::fs::create_dir_all(path)
                .with_context(|| format!("cannot make the folder {}", path.display()))?;
        }
        let Filled { spec, links, ports } =
            fill(spec, folder, links.map(|seed| (seed, cores, &*logs))).await?;
        let children = spec.processes.iter().map(|_| None).collect();
        let versions = vec![1; spec.processes.len()];
        let begun = vec![false; spec.processes.len()];
        let undo = UndoLog::begin(folder)
            .with_context(|| format!("cannot write the undo journal in {}", folder.display()))?;
        let http = crate::http::client(Duration::from_secs(2))?;
        let mut running = Self {
            spec,
            watched: InForce::default(),
            undo,
            links,
            _ports: ports,
            disk: None,
            children,
            lost: Vec::new(),
            versions,
            begun,
            secrets: secrets.clone(),
            cores: cores.clone(),
            logs,
            http,
        };
        if let Some(pid) = running.links.as_ref().and_then(Links::pid) {
            lock(&running.watched).insert(LINKS.to_owned(), Watched::Alone(pid));
        }
        if let Err(error) = running.begin(disk, folder, interrupt).await {
            let left = running.stop().await;
            return with_leftovers(Err(error), &left);
        }
        Ok(running)
    }

    /// From now on bytes between the system's own processes are so much late, each way.
    ///
    /// # Errors
    /// If links do not go through the proxy, or it is gone.
    pub async fn delay_hops(&mut self, delay: Span) -> anyhow::Result<()> {
        let hops: Vec<String> = self.spec.hops().map(|link| link.name.clone()).collect();
        if delay.0.is_zero() || hops.is_empty() {
            return Ok(());
        }
        let links = self.links.as_mut().context("the links do not go through the proxy")?;
        let direction = Direction::default();
        for hop in &hops {
            let late = LinkFault::Latency { delay, jitter: Span::default(), direction };
            links.inject(hop, late, 1.0).await.with_context(|| format!("hop_delay of {hop:?}"))?;
        }
        Ok(())
    }

    async fn begin(
        &mut self,
        disk: Option<DiskSpec>,
        folder: &Path,
        mut interrupt: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        if let Some(spec) = disk {
            self.disk = Some(Disk::make(folder, &folder.join(DATA), spec, &self.undo).await?);
        }
        for index in 0..self.children.len() {
            tokio::select! {
                launched = self.launch(index) => launched?,
                Ok(_) = interrupt.wait_for(|stop| *stop) => return Err(Interrupted.into()),
            }
        }
        Ok(())
    }

    /// Starts one process and waits until it is ready. That the one before it ended by itself stays
    /// known.
    ///
    /// # Errors
    /// As [`Self::start`], and if it keeps data and the disk is away.
    pub async fn launch(&mut self, index: usize) -> anyhow::Result<()> {
        if self.is_up(index) {
            bail!("the process {} runs already", self.spec.processes[index].name);
        }
        self.clear(index).await?;
        let spec = &self.spec.processes[index];
        // A stranger's answers would be taken for the system's.
        let address = address(&spec.ready)?;
        if !is_free(&address).await {
            bail!("the process {} cannot have {address}: the port is in use by another", spec.name);
        }
        // It would begin anew in the bare mount point, and what it keeps there be hidden later.
        if spec.keeps_data && self.disk.as_ref().is_some_and(|disk| !disk.is_mounted()) {
            bail!("the process {} cannot be started: its disk is not mounted", spec.name);
        }
        self.make_ready(index).await?;
        self.begin_one(index).await?;
        self.await_ready(index).await
    }

    /// Starts a process without waiting until it is ready.
    async fn begin_one(&mut self, index: usize) -> anyhow::Result<()> {
        let kept = self.spawn(index)?;
        let name = self.spec.processes[index].name.clone();
        // Until this is written the process is known by its mark; with an error it is killed.
        let entry =
            self.undo.process(kept.top(), &name).context("cannot write the undo journal")?;
        lock(&self.watched).insert(name, Watched::Below(kept.top()));
        let started = self.children[index].insert(Started { kept, entry, may_end: false });
        let command = &self.spec.processes[index].command[0];
        let begun = started.kept.begun().await;
        begun.map(drop).with_context(|| format!("cannot start {command}"))
    }

    /// The process is a newer version from its next start on; returns which.
    pub fn next_version(&mut self, index: usize) -> u32 {
        self.versions[index] += 1;
        self.versions[index]
    }

    fn spawn(&self, index: usize) -> anyhow::Result<Kept> {
        let spec: &ProcessSpec = &self.spec.processes[index];
        let mut command = self.kept(spec, &spec.command)?;
        command
            .env("TRIPTYCH_VERSION", self.versions[index].to_string())
            .stderr(logs::open(&self.logs.join(format!("{}.log", spec.name)))?);
        let kept = Kept::spawn(&mut command, |command| self.spawn_beside(command));
        kept.with_context(|| format!("cannot start the keeper of {}", spec.command[0]))
    }

    /// A command that belongs to a process, with its environment and its user, below a keeper.
    fn kept(&self, spec: &ProcessSpec, words: &[String]) -> anyhow::Result<Command> {
        let program = find_program(&words[0])
            .with_context(|| format!("system {}, process {}", self.spec.name, spec.name))?;
        let mut command = Command::new(own_program()?);
        command.arg0("loadgen").arg("keep");
        if let Some(Account { uid, gid }) = user::of(spec)? {
            command.arg(format!("--as={uid}:{gid}"));
        }
        command
            .arg("--")
            .arg(&program)
            .args(&words[1..])
            .envs(crate::http::direct())
            .envs(spec.env.iter().map(|(name, value)| (name, self.secrets.fill(value))))
            .env(MARK, self.undo.mark())
            .stdin(Stdio::null())
            .process_group(0);
        Ok(command)
    }

    async fn await_ready(&mut self, index: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let spec = self.spec.processes[index].clone();
        loop {
            if self.is_ready(index).await {
                return Ok(());
            }
            if let Some(status) = self.ended(index) {
                bail!(
                    "the process {} ended by itself ({status}): {}",
                    spec.name,
                    self.last_words(index)
                );
            }
            if Instant::now() > deadline {
                let text = format!(
                    "the process {} was not ready within {} s: {}; its log: {}",
                    spec.name,
                    READY_WITHIN.as_secs(),
                    unready(&spec),
                    self.last_words(index)
                );
                return Err(NotReady(text).into());
            }
            sleep(READY_POLL).await;
        }
    }

    /// Stops everything: SIGTERM in reverse order, to the nodes of a cluster at once, SIGKILL to what does not end;
    /// then takes back what else is open in the undo journal, and says what that was.
    pub async fn stop(mut self) -> Vec<String> {
        for index in (0..self.children.len()).rev() {
            // One after the other, the last nodes would be too few to agree on anything.
            for node in self.nodes_until(index) {
                // Whoever has ended by then needs not be told.
                let _ = self.tell_to_end(node);
            }
            self.finish(index).await;
        }
        // After the processes, which finish their work through it.
        if let Some(links) = self.links.take() {
            links.stop().await;
        }
        if let Some(disk) = &mut self.disk {
            // Whatever stays mounted, the sweep finds it.
            let _ = disk.unmount(&self.undo).await;
        }
        self.undo.sweep()
    }

    /// The nodes of a cluster that were started one after the other until this process, if it is one.
    fn nodes_until(&self, index: usize) -> Vec<usize> {
        let is_node = |index: &usize| !self.spec.processes[*index].leads.is_empty();
        (0..=index).rev().take_while(is_node).collect()
    }

    /// Where the processes write their logs.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Starts a helper on the cores of the system, where its work belongs.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn_beside(&self, command: &mut Command) -> std::io::Result<Child> {
        // A child inherits the cores of the thread that starts it.
        Cores::pin(&self.cores.systems)?;
        let child = command.spawn();
        Cores::pin(&self.cores.generator)?;
        child
    }

    fn last_words(&self, index: usize) -> String {
        logs::last_words(&self.logs.join(format!("{}.log", self.spec.processes[index].name)))
    }
}

/// What a process does not do that is not ready.
fn unready(spec: &ProcessSpec) -> String {
    match (spec.ready_command.first(), spec.ready.starts_with("tcp://")) {
        (Some(program), _) => format!("its ready_command ({program}) does not end with 0"),
        (None, true) => format!("{} takes no connection", spec.ready),
        (None, false) => format!("{} does not answer 200", spec.ready),
    }
}

/// Whether nobody listens there.
async fn is_free(address: &str) -> bool {
    matches!(timeout(FREE_WITHIN, TcpStream::connect(address)).await, Ok(Err(_)))
}

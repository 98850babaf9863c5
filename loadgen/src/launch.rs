//! A running system: its processes, started and stopped by handle.
//!
//! All processes stay in the session of the harness: the kernel's autogroup scheduler gives a share
//! to each session, and five services must not get five shares where a monolith gets one. Each is a
//! process group of its own, so that a Ctrl-C in the terminal reaches the harness alone.

pub(crate) mod secrets;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::cores::Cores;
use crate::disk::{Disk, DiskSpec};
use crate::fault::address;
use crate::fault::undo::{Entry, MARK, UndoLog};
use crate::link::Links;
use crate::system::{LINKS, ProcessSpec, SystemSpec};

pub use secrets::Secrets;

/// Where a system keeps what it must not lose, in the trial's folder.
pub const DATA: &str = "data";
/// Where the outside world keeps its own, in the trial's folder: no harm to the disk reaches it.
pub const OUTSIDE: &str = "outside";
const READY_WITHIN: Duration = Duration::from_secs(20);
const READY_POLL: Duration = Duration::from_millis(10);
/// A listener that does not accept leaves a connection unanswered.
const FREE_WITHIN: Duration = Duration::from_secs(1);
const STOP_WITHIN: Duration = Duration::from_secs(12);
/// A log's end, shown when a process ends by itself.
const LOG_LINES: usize = 3;

/// The process ids in force, for whoever samples them.
pub type Pids = Arc<Mutex<BTreeMap<String, u32>>>;

/// A system's processes.
pub struct Running {
    /// The system file with all `{…}` filled in.
    pub spec: SystemSpec,
    /// The process ids in force.
    pub pids: Pids,
    /// How to take back what is done.
    pub undo: UndoLog,
    /// The disk that the data lies on, if it is one of its own.
    pub disk: Option<Disk>,
    children: Vec<Option<Started>>,
    /// Who ended by itself, and was started again or is forgotten.
    lost: Vec<String>,
    versions: Vec<u32>,
    /// The fault proxy, where links go through it.
    pub links: Option<Links>,
    secrets: Secrets,
    cores: Cores,
    logs: PathBuf,
    http: reqwest::Client,
}

/// A process that was started and not yet reaped.
struct Started {
    child: Child,
    /// In the undo journal.
    entry: Entry,
    /// A fault is in it of which it may end.
    may_end: bool,
}

/// Stopped while the system was being started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the system was ready")]
pub struct Interrupted;

/// Adds to an error what only the final sweep took back, or could not.
///
/// # Errors
/// The same one.
pub(crate) fn told<T>(result: anyhow::Result<T>, left: &[String]) -> anyhow::Result<T> {
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
        let logs = folder.join("logs");
        for path in [&folder.join(DATA), &folder.join(OUTSIDE), &logs] {
            std::fs::create_dir_all(path)
                .with_context(|| format!("cannot make the folder {}", path.display()))?;
        }
        let (spec, links) = fill(spec, folder, links.map(|seed| (seed, cores, &*logs))).await?;
        let children = spec.processes.iter().map(|_| None).collect();
        let versions = vec![1; spec.processes.len()];
        let undo = UndoLog::begin(folder)
            .with_context(|| format!("cannot write the undo journal in {}", folder.display()))?;
        let http = crate::http::client(Duration::from_secs(2))?;
        let mut running = Self {
            spec,
            pids: Pids::default(),
            undo,
            links,
            disk: None,
            children,
            lost: Vec::new(),
            versions,
            secrets: secrets.clone(),
            cores: cores.clone(),
            logs,
            http,
        };
        if let Some(pid) = running.links.as_ref().and_then(Links::pid) {
            lock(&running.pids).insert(LINKS.to_owned(), pid);
        }
        if let Err(error) = running.begin(disk, folder, interrupt).await {
            let left = running.stop().await;
            return told(Err(error), &left);
        }
        Ok(running)
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
        let mut child = self.spawn(index)?;
        let pid = child.id().unwrap_or_default();
        // Until this is written the process is known by its mark.
        let entry = match self.undo.process(pid, &spec.name) {
            Ok(entry) => entry,
            Err(error) => {
                child.kill().await?;
                return Err(error).context("cannot write the undo journal");
            }
        };
        lock(&self.pids).insert(spec.name.clone(), pid);
        self.note_end(index);
        let started = Started { child, entry, may_end: false };
        if let Some(ended) = self.children[index].replace(started) {
            self.undo.done(ended.entry)?;
        }
        self.await_ready(index).await
    }

    /// The process is a newer version from its next start on; returns which.
    pub fn next_version(&mut self, index: usize) -> u32 {
        self.versions[index] += 1;
        self.versions[index]
    }

    fn spawn(&self, index: usize) -> anyhow::Result<Child> {
        let spec: &ProcessSpec = &self.spec.processes[index];
        let program = find_program(&spec.command[0])
            .with_context(|| format!("system {}, process {}", self.spec.name, spec.name))?;
        let path = self.logs.join(format!("{}.log", spec.name));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write the log {}", path.display()))?;
        let mut command = Command::new(&program);
        command
            .args(&spec.command[1..])
            .envs(crate::http::direct())
            .envs(spec.env.iter().map(|(name, value)| (name, self.secrets.fill(value))))
            .env("TRIPTYCH_VERSION", self.versions[index].to_string())
            .env(MARK, self.undo.mark())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        let child = self.spawn_beside(&mut command);
        child.with_context(|| format!("cannot start {}", program.display()))
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
                bail!(
                    "the process {} was not ready within {} s: {} does not answer 200; its log: {}",
                    spec.name,
                    READY_WITHIN.as_secs(),
                    spec.ready,
                    self.last_words(index)
                );
            }
            sleep(READY_POLL).await;
        }
    }

    /// Whether a process answers 200 at its ready URL.
    pub async fn is_ready(&self, index: usize) -> bool {
        let answer = self.http.get(&self.spec.processes[index].ready).send().await;
        answer.is_ok_and(|a| a.status().as_u16() == 200)
    }

    /// How a process ended, if it has.
    pub fn ended(&mut self, index: usize) -> Option<String> {
        let started = self.children[index].as_mut()?;
        started.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// A fault is in a process from now on of which it may end.
    pub fn may_end(&mut self, index: usize) {
        if let Some(started) = self.children[index].as_mut() {
            started.may_end = true;
        }
    }

    /// The fault is out of it: if it still runs, its end would be its own again.
    pub fn survived(&mut self, index: usize) {
        let is_up = self.is_up(index);
        if let Some(started) = self.children[index].as_mut().filter(|_| is_up) {
            started.may_end = false;
        }
    }

    /// Keeps how a process ended, unless it was told to, or a fault may have had that effect.
    fn note_end(&mut self, index: usize) {
        let excused = self.children[index].as_ref().is_none_or(|started| started.may_end);
        if let Some(status) = self.ended(index).filter(|_| !excused) {
            self.lost.push(format!("{} ({status})", self.spec.processes[index].name));
        }
    }

    /// Who has ended by itself, and how, also if it was started again; the fault proxy among them.
    pub fn all_ended(&mut self) -> Vec<String> {
        let mut ended = self.lost.clone();
        for index in 0..self.children.len() {
            let status = self.ended(index);
            let name = &self.spec.processes[index].name;
            ended.extend(status.map(|status| format!("{name} ({status})")));
        }
        let proxy = self.links.as_mut().and_then(Links::ended);
        ended.extend(proxy.map(|status| format!("{LINKS} ({status})")));
        ended
    }

    /// Whether a process was started and has not ended.
    pub fn is_up(&mut self, index: usize) -> bool {
        self.children[index].is_some() && self.ended(index).is_none()
    }

    /// The id of a process that was started and not yet reaped.
    #[must_use]
    pub fn pid(&self, index: usize) -> Option<u32> {
        self.children[index].as_ref().and_then(|started| started.child.id())
    }

    /// Kills a process and waits for its end, which is returned.
    ///
    /// # Errors
    /// If it does not run, or ended otherwise.
    pub async fn kill(&mut self, index: usize) -> anyhow::Result<ExitStatus> {
        self.signal(index, Signal::KILL)?;
        let status = self.await_end(index).await?;
        let name = &self.spec.processes[index].name;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            self.lost.push(format!("{name} ({status})"));
            bail!("{name} was killed, but had just ended by itself ({status})");
        }
        Ok(status)
    }

    /// Waits for the end of a process that was told to end; returns how it did.
    ///
    /// # Errors
    /// If it was not started, or has not ended in time.
    pub async fn await_end(&mut self, index: usize) -> anyhow::Result<ExitStatus> {
        let name = self.spec.processes[index].name.clone();
        let started = self.children[index].as_mut();
        let child = &mut started.with_context(|| format!("{name} does not run"))?.child;
        let late = || format!("{name} has not ended within {} s", STOP_WITHIN.as_secs());
        let status = timeout(STOP_WITHIN, child.wait()).await.with_context(late)??;
        self.forget(index)?;
        Ok(status)
    }

    /// Of a process that has been reaped.
    fn forget(&mut self, index: usize) -> anyhow::Result<()> {
        lock(&self.pids).remove(&self.spec.processes[index].name);
        let Some(started) = self.children[index].take() else { return Ok(()) };
        self.undo.done(started.entry).context("cannot write the undo journal")
    }

    /// Sends a signal to a process that this harness started and has not reaped.
    ///
    /// # Errors
    /// If it does not run; a signal to one that has ended would go through, too.
    pub fn signal(&mut self, index: usize, signal: Signal) -> anyhow::Result<u32> {
        let ended = self.ended(index);
        let name = &self.spec.processes[index].name;
        if let Some(status) = ended {
            bail!("{name} had ended by itself before ({status})");
        }
        let id = self.pid(index).with_context(|| format!("{name} does not run"))?;
        let pid = Pid::from_raw(id.cast_signed()).context("a process id of 0")?;
        kill_process(pid, signal)?;
        Ok(id)
    }

    /// Stops everything: SIGTERM in reverse order, SIGKILL to what does not end; then takes back
    /// what else is open in the undo journal, and says what that was.
    pub async fn stop(mut self) -> Vec<String> {
        for index in (0..self.children.len()).rev() {
            // A stopped process would not hear SIGTERM.
            let _ = self.signal(index, Signal::CONT);
            let _ = self.signal(index, Signal::TERM);
            if self.children[index].is_some() && self.await_end(index).await.is_err() {
                let _ = self.kill(index).await;
            }
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
        let path = self.logs.join(format!("{}.log", self.spec.processes[index].name));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        if lines.is_empty() { "(its log is empty)".to_owned() } else { lines[from..].join(" | ") }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether nobody listens there.
async fn is_free(address: &str) -> bool {
    matches!(timeout(FREE_WITHIN, TcpStream::connect(address)).await, Ok(Err(_)))
}

/// Fills `{data}`, `{outside}`, `{port:NAME}` and `{link:NAME}` in; for links that are proxied, with a seed,
/// cores and the folder of logs, the proxy is started before: it chooses its ports itself.
async fn fill(
    spec: &SystemSpec,
    folder: &Path,
    proxied: Option<(u64, &Cores, &Path)>,
) -> anyhow::Result<(SystemSpec, Option<Links>)> {
    let folder = std::path::absolute(folder)?;
    let (data, outside) = (folder.join(DATA), folder.join(OUTSIDE));
    let mut ports = Ports::default();
    let mut filled = spec.clone();
    for link in &mut filled.links {
        link.upstream = ports.fill(&link.upstream)?;
    }
    let ends = filled.links.iter().map(|link| (link.name.clone(), link.upstream.clone()));
    let mut ends: BTreeMap<String, String> = ends.collect();
    let links = match proxied.filter(|_| !ends.is_empty()) {
        Some((seed, cores, logs)) => {
            Cores::pin(&cores.systems)?;
            let own = std::env::current_exe()?;
            let links = Links::start(&own, &ends, seed, &logs.join("links.log")).await;
            Cores::pin(&cores.generator)?;
            let links = links?;
            ends = links.addresses().clone();
            Some(links)
        }
        None => None,
    };
    for text in filled.texts() {
        *text = text.replace("{data}", &data.to_string_lossy());
        *text = text.replace("{outside}", &outside.to_string_lossy());
        for (name, end) in &ends {
            *text = text.replace(&format!("{{link:{name}}}"), end);
        }
        *text = ports.fill(text)?;
    }
    Ok((filled, links))
}

impl SystemSpec {
    /// All that may hold placeholders, but for links' upstreams.
    fn texts(&mut self) -> Vec<&mut String> {
        let mut texts = vec![
            &mut self.entry.auth,
            &mut self.entry.orders,
            &mut self.entry.provider,
            &mut self.audit.journal,
        ];
        texts.extend(self.audit.orders.all_mut());
        texts.extend(self.audit.dead_letters.iter_mut());
        for process in &mut self.processes {
            texts.push(&mut process.ready);
            texts.extend(process.command.iter_mut());
            texts.extend(process.env.values_mut());
        }
        texts
    }
}

/// Free ports by name; held until all are known, so that no two names share one.
#[derive(Default)]
struct Ports(BTreeMap<String, TcpListener>);

impl Ports {
    fn fill(&mut self, text: &str) -> anyhow::Result<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{port:") {
            let (name, behind) = after
                .split_once('}')
                .with_context(|| format!("{text:?}: {{port: without a closing brace"))?;
            if !self.0.contains_key(name) {
                self.0.insert(name.to_owned(), TcpListener::bind("127.0.0.1:0")?);
            }
            out.push_str(before);
            out.push_str(&self.0[name].local_addr()?.port().to_string());
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Whether every program of a system is there.
///
/// # Errors
/// If one is missing, with what to do.
pub fn check_programs(spec: &SystemSpec) -> anyhow::Result<()> {
    for process in &spec.processes {
        find_program(&process.command[0])
            .with_context(|| format!("system {}, process {}", spec.name, process.name))?;
    }
    Ok(())
}

/// The program beside this one, or as given, or on the PATH.
fn find_program(name: &str) -> anyhow::Result<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        anyhow::ensure!(path.is_file(), "the program {name} does not exist");
        return Ok(path);
    }
    let own = std::env::current_exe()?;
    let beside = own.parent().map(|folder| folder.join(name));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let candidates =
        beside.into_iter().chain(std::env::split_paths(&on_path).map(|f| f.join(name)));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.with_context(|| {
        let folder = own.parent().unwrap_or(Path::new(".")).display();
        format!("the program {name:?} is neither in {folder} nor on the PATH; build it with: cargo build --release")
    })
}

#[cfg(test)]
mod ends;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_number_wherever_it_is_named() {
        let mut ports = Ports::default();
        let a = ports.fill("http://127.0.0.1:{port:a}/x").unwrap();
        assert_eq!(a, ports.fill("http://127.0.0.1:{port:a}/x").unwrap());
        assert_ne!(a, ports.fill("http://127.0.0.1:{port:b}/x").unwrap());
        assert!(ports.fill("{port:a").is_err());
        assert_eq!(ports.fill("plain").unwrap(), "plain");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = find_program("no-such-program-here").unwrap_err().to_string();
        assert!(error.contains("no-such-program-here") && error.contains("cargo build"), "{error}");
    }
}

//! Faults of the fsyncs of the processes that play a role, by strace, which counts what it did.
//!
//! A traced process stops at every system call, so it is slower in all that it does, not in its
//! fsyncs alone: part of the fault, and no measure of a slow disk.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::need::Need;
use super::process::await_ready;
use super::proof::PROOF_POLL;
use super::stage::Scene;
use supervise::disk::find;
use supervise::launch::Running;
use supervise::tree::{self, Member};
use supervise::undo::{Entry, MARK, Undo, UndoLog, started};

const PROGRAM: &str = "strace";
/// A tracer attaches to all threads, one after the other; a fsync comes with the next order.
const PROOF_WITHIN: Duration = Duration::from_secs(5);
/// The calls by which data reaches the disk.
const CALLS: &str = "fsync,fdatasync";
/// strace marks a line with one of these when it did so.
const MARKS: [&str; 2] = ["(DELAYED)", "(INJECTED)"];

/// A program that traces others, and the right to.
pub(super) const TRACER: Need =
    Need { words: "strace", without: "fsyncs cannot be harmed", lacks: |_| Box::pin(lacks()) };

/// strace, attached to processes that one started.
pub(super) struct Tracer {
    index: usize,
    name: String,
    traced: Vec<Member>,
    child: Child,
    log: PathBuf,
    entry: Entry,
}

/// What is harmed: the calls by which data reaches the disk, and how, in strace's words.
pub(super) fn injection(how: &str) -> String {
    format!("{CALLS}:{how}")
}

/// The fsyncs of the processes that play the harmed role.
pub(super) struct Fsyncs<'a> {
    running: &'a mut Running,
    players: Vec<usize>,
}

impl<'a> Fsyncs<'a> {
    pub(super) fn of(scene: &'a mut Scene<'_, '_>) -> Self {
        Self { players: scene.players.to_vec(), running: scene.stage.running }
    }

    /// Attaches to every process and all that descends from it. Proof: strace's own line of a call that
    /// it harmed, for each process of the role. One that `ends` may give up because of it.
    pub(super) async fn inject(
        mut self,
        inject: &str,
        ends: bool,
        held: &mut Vec<Tracer>,
    ) -> anyhow::Result<String> {
        let players = self.players.clone();
        for index in players.iter().copied() {
            self.trace(index, inject, held).await?;
            if ends {
                self.running.may_end(index);
            }
        }
        let mut proofs = Vec::new();
        for index in players {
            let name = &self.running.spec.processes[index].name;
            proofs.push(timeout(PROOF_WITHIN, first(held, index)).await.with_context(|| {
                format!("strace -e inject={inject}: no fsync of {name} was harmed")
            })?);
        }
        Ok(proofs.join("; "))
    }

    /// strace follows whoever is born to one that it traces; again and again until nobody is left out.
    async fn trace(
        &mut self,
        index: usize,
        inject: &str,
        held: &mut Vec<Tracer>,
    ) -> anyhow::Result<()> {
        let top = self.running.keeper(index)?;
        loop {
            let mut left_out = tree::below(top);
            left_out.retain(|member| !is_traced(member.pid));
            if left_out.is_empty() {
                return Ok(());
            }
            held.push(Tracer::attach(self.running, index, left_out, inject)?);
            let tracer = &held[held.len() - 1];
            let attached = timeout(PROOF_WITHIN, tracer.attached()).await;
            attached.with_context(|| format!("strace does not attach to {}", tracer.name))?;
        }
    }

    /// Detaches. Proof: no thread is traced or stopped, and ready, if need be by a restart: a store
    /// that gave up after a failed fsync has done right, and its supervisor starts it again.
    pub(super) async fn release(mut self, held: &mut Vec<Tracer>) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        let mut failure = None;
        let mut players = Vec::new();
        for tracer in held.drain(..) {
            players.push(tracer.index);
            match tracer.detach(&self.running.undo).await {
                Ok(proof) => proofs.push(proof),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        players.dedup();
        for index in players {
            let name = self.running.spec.processes[index].name.clone();
            proofs.push(format!("{name}: {}", self.ready(index).await?));
        }
        failure.map_or_else(|| Ok(proofs.join("; ")), Err)
    }
}

impl Fsyncs<'_> {
    async fn ready(&mut self, index: usize) -> anyhow::Result<String> {
        if self.running.is_up(index) && await_ready(self.running, index).await.is_ok() {
            self.running.survived(index);
            return Ok("ready".to_owned());
        }
        let ended = match self.running.ended(index) {
            Some(status) => format!("ended by itself ({status})"),
            None => format!("not ready ({})", self.running.kill(index).await?),
        };
        self.running.launch(index).await?;
        Ok(format!("{ended}: started again, ready"))
    }
}

impl Tracer {
    fn attach(
        running: &Running,
        index: usize,
        traced: Vec<Member>,
        inject: &str,
    ) -> anyhow::Result<Self> {
        let name = running.spec.processes[index].name.clone();
        let first = traced.first().map_or(0, |member| member.pid);
        let log = running.logs().join(format!("{name}.strace-{first}"));
        let _ = std::fs::remove_file(&log);
        let mut command = strace(&traced, &log)?;
        command.args(["-e", &format!("inject={inject}")]).env(MARK, running.undo.mark());
        let child = running.spawn_beside(&mut command).context("cannot start strace")?;
        let pid = child.id().unwrap_or_default();
        let undo = Undo::Detach { pid, started: started(pid).unwrap_or_default() };
        let entry = running.undo.before(undo)?;
        Ok(Self { index, name, traced, child, log, entry })
    }

    /// Waits until it traces all that still live.
    async fn attached(&self) {
        while self.traced.iter().any(|member| member.lives() && !is_traced(member.pid)) {
            sleep(PROOF_POLL).await;
        }
    }

    /// Whole lines of harmed calls, without the thread's id.
    fn harmed(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let harmed = whole.filter(|line| MARKS.iter().any(|mark| line.contains(mark)));
        let words = |line: &str| {
            let line = line.split_once(' ').map_or(line, |(_thread, rest)| rest);
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        harmed.map(words).collect()
    }

    async fn detach(mut self, undo: &UndoLog) -> anyhow::Result<String> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // SIGTERM lets it continue whom it holds; it may have ended with a killed process.
            let _ = kill_process(pid, Signal::TERM);
        }
        let ended = timeout(PROOF_WITHIN, self.child.wait()).await;
        ended.with_context(|| format!("strace of {} does not end", self.name))??;
        let free = timeout(PROOF_WITHIN, await_free(&self.traced)).await;
        free.with_context(|| format!("{} is still stopped after strace has ended", self.name))?;
        undo.done(self.entry).context("the undo journal cannot be written")?;
        let count = self.harmed().len();
        let _ = std::fs::remove_file(&self.log);
        Ok(format!("{}: detached, no thread stopped; {count} calls harmed", self.name))
    }
}

/// The first call that was harmed in a process.
async fn first(tracers: &[Tracer], index: usize) -> String {
    loop {
        let own = tracers.iter().filter(|tracer| tracer.index == index);
        for tracer in own {
            if let Some(line) = tracer.harmed().into_iter().next() {
                return format!("{}: strace: {line}", tracer.name);
            }
        }
        sleep(PROOF_POLL).await;
    }
}

/// strace on processes and all their threads, not yet told what to do.
fn strace(traced: &[Member], log: &Path) -> anyhow::Result<Command> {
    let program = find(PROGRAM).context("the program strace is not on the PATH")?;
    let mut command = Command::new(program);
    command.args(["-f", "-y", "-T", "-e", &format!("trace={CALLS}"), "-o"]).arg(log);
    command.args(traced.iter().flat_map(|member| ["-p".to_owned(), member.pid.to_string()]));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

async fn await_free(traced: &[Member]) {
    while !traced.iter().all(|member| is_free(member.pid)) {
        sleep(PROOF_POLL).await;
    }
}

/// Of each thread whether it is traced, and whether it is stopped; none of a process that has ended.
fn threads(pid: u32) -> Vec<(bool, bool)> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let thread = |status: String| {
        let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        let traced = value("TracerPid:").is_some_and(|tracer| tracer.trim() != "0");
        let stopped = value("State:").is_some_and(|s| s.trim().starts_with(['t', 'T']));
        (traced, stopped)
    };
    let statuses = threads.filter_map(|t| std::fs::read_to_string(t.path().join("status")).ok());
    statuses.map(thread).collect()
}

/// Whether no thread is traced or stopped. A process that has ended is free.
fn is_free(pid: u32) -> bool {
    threads(pid).iter().all(|(traced, stopped)| !traced && !stopped)
}

/// Whether every thread is traced.
fn is_traced(pid: u32) -> bool {
    let threads = threads(pid);
    !threads.is_empty() && threads.iter().all(|(traced, _)| *traced)
}

/// Why processes cannot be traced here; nothing if they can. Tries it on a process of its own.
///
/// # Errors
/// If that process cannot be started.
pub async fn lacks() -> anyhow::Result<Option<String>> {
    if find(PROGRAM).is_none() {
        return Ok(Some("strace is not on the PATH".to_owned()));
    }
    let mut sleeper = Command::new("sleep").arg("60").kill_on_drop(true).spawn()?;
    let pid = sleeper.id().unwrap_or_default();
    let traced: Vec<Member> = Member::of(pid).into_iter().collect();
    let mut tracer = strace(&traced, Path::new("/dev/null"))?.spawn()?;
    let attached = async {
        while is_free(pid) && tracer.try_wait().is_ok_and(|ended| ended.is_none()) {
            sleep(PROOF_POLL).await;
        }
    };
    let _ = timeout(PROOF_WITHIN, attached).await;
    let traced = is_traced(pid);
    tracer.kill().await?;
    sleeper.kill().await?;
    let refused = "strace may not attach to a process of the same user (ptrace_scope, seccomp?)";
    Ok((!traced).then(|| refused.to_owned()))
}

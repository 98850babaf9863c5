//! Harm to the processes that play a role: ended, stopped, replaced. It knows handles, not names.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Held, PROOF_POLL, PROOF_WITHIN, Stage, address};
use crate::fault::undo::{Undo, started};
use crate::launch::Running;
use crate::scenario::FaultSpec;
use crate::watch::process_state;

/// Lets the watcher read a process's account before it is gone.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// The processes that play the harmed role.
pub(super) struct Processes<'a> {
    running: &'a mut Running,
    players: Vec<usize>,
}

impl<'a> Processes<'a> {
    /// Ready to be ended: their accounts are read.
    pub(super) async fn before_the_end(stage: &'a mut Stage<'_>, fault: &FaultSpec) -> Self {
        last_look(stage).await;
        Self::of(stage, fault)
    }

    pub(super) fn of(stage: &'a mut Stage<'_>, fault: &FaultSpec) -> Self {
        let players = stage.running.spec.players(&fault.harm);
        Self { running: stage.running, players }
    }

    /// SIGKILL. Proof: how it ended, and that nobody listens any more.
    pub(super) async fn kill(self) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        for index in self.players {
            let status = self.running.kill(index).await?;
            let spec = &self.running.spec.processes[index];
            let address = address(&spec.ready)?;
            if TcpStream::connect(&address).await.is_ok() {
                bail!("{} ended ({status}), but {address} still accepts connections", spec.name);
            }
            proofs.push(format!("{}: {status}, connection refused", spec.name));
        }
        Ok(proofs.join("; "))
    }

    /// SIGTERM to all, then their ends. Proof: exit status 0, which only a graceful end has.
    pub(super) async fn terminate(self) -> anyhow::Result<String> {
        for index in &self.players {
            self.running.signal(*index, Signal::TERM)?;
        }
        let mut proofs = Vec::new();
        for index in self.players {
            let status = self.running.await_end(index).await?;
            let name = &self.running.spec.processes[index].name;
            ensure!(status.success(), "{name} was told to end, and ended with {status}");
            proofs.push(format!("{name}: {status}"));
        }
        Ok(proofs.join("; "))
    }

    /// All end, all begin. Proof: exit status 0 and another process id.
    pub(super) async fn restart(self) -> anyhow::Result<String> {
        let Self { running, players } = self;
        let old: Vec<u32> = players.iter().filter_map(|i| running.pid(*i)).collect();
        let ended = Processes { running: &mut *running, players: players.clone() }.terminate();
        let ended = ended.await?;
        let mut proofs = vec![ended];
        for (index, old) in players.into_iter().zip(old) {
            proofs.push(relaunch(running, index, old).await?);
        }
        Ok(proofs.join("; "))
    }

    /// A new version, one process after the other. Proof: as of restart, for each.
    pub(super) async fn deploy(self) -> anyhow::Result<String> {
        let Self { running, players } = self;
        let mut proofs = Vec::new();
        for index in players {
            let old = running.pid(index).context("a process that does not run")?;
            let ended = Processes { running: &mut *running, players: vec![index] }.terminate();
            proofs.push(ended.await?);
            let version = running.next_version(index);
            let launched = relaunch(running, index, old).await?;
            proofs.push(format!("{launched}, version {version}"));
        }
        Ok(proofs.join("; "))
    }

    /// SIGSTOP to all before any proof: one may need another to be ready. Proof: state T.
    pub(super) async fn pause(self, held: &mut Held) -> anyhow::Result<String> {
        for index in &self.players {
            let pid = self.running.pid(*index).context("a process that does not run")?;
            let started = started(pid).unwrap_or_default();
            held.entries.push(self.running.undo.before(Undo::Resume { pid, started })?);
        }
        self.signal(Signal::STOP, true).await
    }

    /// SIGCONT to all. Proof: not state T, and ready.
    pub(super) async fn resume(self) -> anyhow::Result<String> {
        self.signal(Signal::CONT, false).await
    }

    async fn signal(self, signal: Signal, stopped: bool) -> anyhow::Result<String> {
        let sent: Vec<anyhow::Result<u32>> =
            self.players.iter().map(|index| self.running.signal(*index, signal)).collect();
        let mut proofs = Vec::new();
        for (index, pid) in self.players.into_iter().zip(sent) {
            let name = self.running.spec.processes[index].name.clone();
            let state = timeout(PROOF_WITHIN, await_state(pid?, stopped))
                .await
                .with_context(|| format!("{name} did not change its state"))?;
            if !stopped {
                await_ready(self.running, index)
                    .await
                    .with_context(|| format!("{name} runs again, but is not ready"))?;
            }
            proofs.push(format!("{name}: state {state}"));
        }
        Ok(proofs.join("; "))
    }

    /// Starts those that do not run. Proof: each is ready.
    pub(super) async fn raise(self) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        let mut failure = None;
        for index in self.players {
            let name = self.running.spec.processes[index].name.clone();
            let raised = if self.running.is_up(index) {
                await_ready(self.running, index).await
            } else {
                self.running.launch(index).await
            };
            match raised {
                Ok(()) => proofs.push(format!("{name}: ready")),
                // The others are healed all the same.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or_else(|| Ok(proofs.join("; ")), Err)
    }
}

/// Has the accounts of all processes read: one is about to end.
pub(super) async fn last_look(stage: &Stage<'_>) {
    stage.watch.look();
    sleep(LAST_LOOK).await;
}

async fn relaunch(running: &mut Running, index: usize, old: u32) -> anyhow::Result<String> {
    running.launch(index).await?;
    let name = &running.spec.processes[index].name;
    let new = running.pid(index).with_context(|| format!("{name} does not run"))?;
    ensure!(new != old, "{name} is still process {old}");
    Ok(format!("{name}: process {old}, now {new}, ready"))
}

pub(super) async fn await_ready(running: &Running, index: usize) -> anyhow::Result<()> {
    let ready = async {
        while !running.is_ready(index).await {
            sleep(PROOF_POLL).await;
        }
    };
    Ok(timeout(PROOF_WITHIN, ready).await?)
}

async fn await_state(pid: u32, stopped: bool) -> char {
    loop {
        match process_state(pid) {
            Some(state) if (state == 'T') == stopped => return state,
            _ => sleep(PROOF_POLL).await,
        }
    }
}

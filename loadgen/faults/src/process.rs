//! The processes that a fault harms: ended, started again, waited for. It knows handles, not names.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::proof::{PROOF_POLL, PROOF_WITHIN, Proof};
use super::stage::{Scene, Stage};
use supervise::http::address;
use supervise::launch::Running;
use supervise::tree::{self, Member};

/// Lets the watcher read a process's account before it is gone.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// The processes that play the harmed role.
pub(super) struct Processes<'a> {
    pub(super) running: &'a mut Running,
    pub(super) players: Vec<usize>,
}

impl<'a> Processes<'a> {
    /// Ready to be ended: their accounts are read.
    pub(super) async fn before_the_end(scene: &'a mut Scene<'_, '_>) -> Self {
        last_look(scene.stage).await;
        Self::of(scene)
    }

    pub(super) fn of(scene: &'a mut Scene<'_, '_>) -> Self {
        Self { players: scene.players.to_vec(), running: scene.stage.running }
    }

    /// SIGKILL, to all that a process consists of. Proof: how it ended, that nobody is left of it, and
    /// that nobody listens any more.
    pub(super) async fn kill(self) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        for index in self.players {
            let size = self.running.members(index).len();
            let status = self.running.kill(index).await?;
            let spec = &self.running.spec.processes[index];
            let address = address(&spec.ready)?;
            if TcpStream::connect(&address).await.is_ok() {
                bail!("{} ended ({status}), but {address} still accepts connections", spec.name);
            }
            proofs.push(format!("{}: {status}{}, connection refused", spec.name, of(size)));
        }
        Ok(proofs.join("; "))
    }

    /// The signal of a stop to all, then their ends. Proof: an exit status that only a graceful end has,
    /// and nobody is left.
    pub(super) async fn terminate(self) -> anyhow::Result<String> {
        for index in &self.players {
            self.running.tell_to_end(*index)?;
        }
        let mut proofs = Vec::new();
        for index in self.players {
            let status = self.running.await_end(index).await?;
            let spec = &self.running.spec.processes[index];
            let name = &spec.name;
            ensure!(spec.stop.is_good(status), "{name} was told to end, and ended with {status}");
            proofs.push(format!("{name}: {status}"));
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

impl Scene<'_, '_> {
    /// Starts those that do not run. Proof: each is ready.
    pub(super) async fn raise(&mut self) -> Proof {
        let raised = Processes::of(self).raise().await?;
        self.with_settings(raised).await
    }
}

/// Has the accounts of all processes read: one is about to end.
pub(super) async fn last_look(stage: &Stage<'_>) {
    stage.watch.look();
    sleep(LAST_LOOK).await;
}

/// Starts a process again. Proof: another process id, and ready.
pub(super) async fn relaunch(
    running: &mut Running,
    index: usize,
    old: u32,
) -> anyhow::Result<String> {
    running.launch(index).await?;
    let new = running.pid(index);
    let name = &running.spec.processes[index].name;
    let new = new.with_context(|| format!("{name} does not run"))?;
    ensure!(new != old, "{name} is still process {old}");
    Ok(format!("{name}: process {old}, now {new}, ready"))
}

/// Waits until a process that runs can work.
pub(super) async fn await_ready(running: &Running, index: usize) -> anyhow::Result<()> {
    let ready = async {
        while !running.is_ready(index).await {
            sleep(PROOF_POLL).await;
        }
    };
    Ok(timeout(PROOF_WITHIN, ready).await?)
}

/// Waits until every thread of all below a keeper stands, and nobody new is there; says who stands.
pub(super) async fn stand(top: u32) -> String {
    loop {
        let members = tree::below(top);
        let states: Vec<Vec<char>> = members.iter().map(Member::states).collect();
        let all = states.iter().all(|threads| !threads.is_empty());
        if all && !states.is_empty() && states.iter().flatten().all(|state| *state == 'T') {
            let threads = states.iter().map(Vec::len).sum::<usize>();
            return format!("{threads} threads in state T{}", of(members.len()));
        }
        // Whoever was born before his parent stood.
        let _ = tree::halt(top);
        sleep(PROOF_POLL).await;
    }
}

/// How many there are, if there is more than one.
fn of(size: usize) -> String {
    if size > 1 { format!(" of {size} processes") } else { String::new() }
}

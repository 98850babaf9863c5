//! Harm to the processes that play a role: ended, stopped, replaced. It knows handles, not names.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Held, PROOF_POLL, PROOF_WITHIN, Stage};
use crate::http::address;
use crate::launch::Running;
use crate::link::{Answered, Probe};
use crate::scenario::FaultSpec;
use crate::tree::{self, Member};
use crate::undo::{Undo, started};

/// Lets the watcher read a process's account before it is gone.
const LAST_LOOK: Duration = Duration::from_millis(50);
/// An answer that has not come after this does not come: over loopback it takes a millisecond.
const SILENT_FOR: Duration = Duration::from_millis(250);

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

    /// SIGTERM to all, then their ends. Proof: exit status 0, which only a graceful end has, and nobody
    /// is left.
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

    /// SIGSTOP to all before any proof: one may need another to be ready. Proof: every thread of all that
    /// a process consists of is in state T, and where it listens nobody answers.
    pub(super) async fn pause(self, held: &mut Held) -> anyhow::Result<String> {
        for index in &self.players {
            let pid = self.running.keeper(*index)?;
            let started = started(pid).unwrap_or_default();
            held.entries.push(self.running.undo.before(Undo::Resume { pid, started })?);
            tree::halt(pid)?;
        }
        let mut proofs = Vec::new();
        for index in self.players {
            let top = self.running.keeper(index)?;
            let name = &self.running.spec.processes[index].name;
            let stood = timeout(PROOF_WITHIN, stand(top)).await;
            let stood = stood.with_context(|| format!("{name} does not stop"))?;
            is_silent(&self.running.spec.processes[index].ready)
                .await
                .with_context(|| name.clone())?;
            proofs.push(format!("{name}: {stood}, silent"));
        }
        Ok(proofs.join("; "))
    }

    /// SIGCONT to all. Proof: no thread is in state T, and ready.
    pub(super) async fn resume(self) -> anyhow::Result<String> {
        let mut tops = Vec::new();
        for index in &self.players {
            let top = self.running.keeper(*index)?;
            tree::resume(top)?;
            tops.push(top);
        }
        let mut proofs = Vec::new();
        for (index, top) in self.players.into_iter().zip(tops) {
            let name = self.running.spec.processes[index].name.clone();
            let runs = timeout(PROOF_WITHIN, run(top)).await;
            runs.with_context(|| format!("{name} does not go on"))?;
            let ready = await_ready(self.running, index).await;
            ready.with_context(|| format!("{name} runs again, but is not ready"))?;
            proofs.push(format!("{name}: no thread in state T, ready"));
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
    let new = running.pid(index);
    let name = &running.spec.processes[index].name;
    let new = new.with_context(|| format!("{name} does not run"))?;
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

async fn run(top: u32) {
    while tree::below(top).iter().any(|member| member.states().contains(&'T')) {
        sleep(PROOF_POLL).await;
    }
}

/// Whoever answers is none of those who stand.
async fn is_silent(ready: &str) -> anyhow::Result<()> {
    let host = address(ready)?;
    let Ok(probe) = Probe::connect(&host).await else { return Ok(()) };
    let path = reqwest::Url::parse(ready)?.path().to_owned();
    let met = probe.get(&host, &path, SILENT_FOR).await;
    ensure!(
        matches!(met, Answered::Not | Answered::Cut),
        "all its processes stand, and {ready} still answers: somebody serves there who does not descend from it"
    );
    Ok(())
}

/// How many there are, if there is more than one.
fn of(size: usize) -> String {
    if size > 1 { format!(" of {size} processes") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Somebody else serves where a process that stands should: what stands is not what serves.
    #[tokio::test]
    async fn whoever_answers_does_not_stand() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ready = format!("http://{}/readyz", listener.local_addr().unwrap());
        is_silent(&ready).await.unwrap();
        let stranger = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1_024]).await;
                let _ = stream.write_all(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        let error = is_silent(&ready).await.unwrap_err().to_string();
        assert!(error.contains("still answers"), "{error}");
        stranger.abort();
    }
}

//! SIGSTOP; SIGCONT at the end.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::kind::{Facts, Kind};
use crate::process::{Processes, await_ready, stand};
use crate::proof::{PROOF_POLL, PROOF_WITHIN, Proof};
use crate::stage::{Entries, Scene};
use link_proxy::{Answered, Probe};
use supervise::http::address;
use supervise::tree;
use supervise::undo::{Undo, started};

/// An answer that has not come after this does not come: over loopback it takes a millisecond.
const SILENT_FOR: Duration = Duration::from_millis(250);

/// SIGSTOP; SIGCONT at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {}

impl Kind for Pause {
    const FACTS: Facts = Facts {
        name: "pause",
        state: "frozen",
        about: "SIGSTOP, SIGCONT at the end",
        seen: "state T of every thread, and silence where the process listens",
        healed: "no thread in state T, and it is ready",
        ..Facts::ROLE
    };

    type Held = Entries;

    /// Proof: every thread of all that a process consists of is in state T, and where it listens nobody
    /// answers.
    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Entries) -> Proof {
        let Processes { running, players } = Processes::of(scene);
        // All before any proof: one may need another to be ready.
        for index in &players {
            let pid = running.keeper(*index)?;
            let started = started(pid).unwrap_or_default();
            held.add(running, Undo::Resume { pid, started })?;
            tree::halt(pid)?;
        }
        let mut proofs = Vec::new();
        for index in players {
            let top = running.keeper(index)?;
            let spec = &running.spec.processes[index];
            let stood = timeout(PROOF_WITHIN, stand(top)).await;
            let stood = stood.with_context(|| format!("{} does not stop", spec.name))?;
            is_silent(&spec.ready).await.with_context(|| spec.name.clone())?;
            proofs.push(format!("{}: {stood}, silent", spec.name));
        }
        Ok(proofs.join("; "))
    }

    /// Proof: no thread is in state T, and ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Entries) -> Proof {
        let Processes { running, players } = Processes::of(scene);
        let mut tops = Vec::new();
        for index in &players {
            let top = running.keeper(*index)?;
            tree::resume(top)?;
            tops.push(top);
        }
        let mut proofs = Vec::new();
        for (index, top) in players.into_iter().zip(tops) {
            let name = running.spec.processes[index].name.clone();
            let runs = timeout(PROOF_WITHIN, run(top)).await;
            runs.with_context(|| format!("{name} does not go on"))?;
            let ready = await_ready(running, index).await;
            ready.with_context(|| format!("{name} runs again, but is not ready"))?;
            proofs.push(format!("{name}: no thread in state T, ready"));
        }
        held.close(running)?;
        Ok(proofs.join("; "))
    }
}

async fn run(top: u32) {
    while tree::below(top).iter().any(|member| member.states().contains(&'T')) {
        sleep(PROOF_POLL).await;
    }
}

/// Whoever answers is none of those who stand. What speaks no HTTP is not asked.
async fn is_silent(ready: &str) -> anyhow::Result<()> {
    if !ready.starts_with("http://") {
        return Ok(());
    }
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

//! The disk loses what was not fsynced, and its writers with it; back at the end.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::disk::DataDisk;
use crate::kind::{Facts, Kind};
use crate::process::{last_look, stand};
use crate::proof::Proof;
use crate::stage::Scene;
use supervise::tree;

/// A thread that waits for the disk stops when its call returns.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

/// The disk loses what was not fsynced, and its writers with it; back at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerCut {}

impl Kind for PowerCut {
    const FACTS: Facts = Facts {
        name: "power-cut",
        // An answer that was under way while the disk died proves nothing.
        voids_answers: true,
        state: "without power",
        about: "what was not fsynced is lost, proved by two canary files; the writers die with it",
        seen: "EIO of the disk, then two canary files",
        ..Facts::DISK
    };

    type Held = ();

    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        last_look(scene.stage).await;
        DataDisk::with(scene.stage, async |disk| disk.cut().await).await
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        DataDisk::with(scene.stage, async |disk| disk.power().await).await
    }
}

impl DataDisk<'_> {
    /// Power cut: all writers are stopped, the disk forgets what was not on it, they are killed, the
    /// journal is replayed and checked. Stopped first, because an answer that is given while the
    /// disk dies proves nothing. The disk stays unmounted. Proof: two canaries.
    async fn cut(&mut self) -> anyhow::Result<String> {
        self.disk.plant_synced().context("the fsynced canary")?;
        let stopped = self.stop().await;
        let cut = stopped.and_then(|stopped| Ok(format!("{stopped}; {}", self.disk.cut()?)));
        // Whatever came of it: nobody goes on with a disk that is gone.
        let killed = self.kill().await?;
        let cut = cut?;
        let replayed = self.replay().await?;
        Ok(format!("{cut}; {killed}; {replayed}"))
    }

    /// Power again. Proof: every process that writes there is ready.
    async fn power(&mut self) -> anyhow::Result<String> {
        self.kill().await?;
        self.disk.mount(&self.running.undo).await?;
        let mut proofs = vec!["mounted".to_owned()];
        for index in self.writers() {
            self.running.launch(index).await?;
            proofs.push(format!("{}: ready", self.name(index)));
        }
        Ok(proofs.join("; "))
    }

    async fn stop(&mut self) -> anyhow::Result<String> {
        let mut stopped = Vec::new();
        for index in self.writers() {
            // Another fault may have ended it; what it has left behind may write.
            if let Some(top) = self.running.top(index).filter(|top| !tree::below(*top).is_empty()) {
                tree::halt(top)?;
                stopped.push((index, top));
            }
        }
        ensure!(!stopped.is_empty(), "no process that writes there runs");
        let mut proofs = Vec::new();
        for (index, top) in stopped {
            let name = self.name(index);
            let stood = timeout(STOPPED_WITHIN, stand(top)).await;
            // One that was in a fsync has left it then, or is killed before it can tell anybody.
            let stood = stood.with_context(|| format!("{name} does not stop"))?;
            proofs.push(format!("{name}: {stood}"));
        }
        Ok(proofs.join("; "))
    }

    async fn kill(&mut self) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        for index in self.writers() {
            if self.running.is_up(index) {
                let status = self.running.kill(index).await?;
                proofs.push(format!("{}: {status}", self.name(index)));
            } else if let Some(top) = self.running.top(index) {
                tree::kill(top)?;
            }
        }
        Ok(proofs.join("; "))
    }

    async fn replay(&mut self) -> anyhow::Result<String> {
        let undo = &self.running.undo;
        self.disk.unmount(undo).await?;
        self.disk.mount(undo).await.context("the journal's replay")?;
        let canaries = self.disk.read_canaries();
        self.disk.unmount(undo).await?;
        let checked = self.disk.check().await?;
        match canaries {
            Ok(canaries) => Ok(format!("{canaries}; {checked}")),
            Err(error) => bail!("{error:#}; {checked}"),
        }
    }
}

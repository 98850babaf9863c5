//! Harm to the disk that the system's data lies on: its power is cut, or it is full.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::timeout;

use super::Stage;
use super::process::{await_ready, stand};
use crate::disk::Disk;
use crate::launch::Running;
use crate::tree;

/// A thread that waits for the disk stops when its call returns.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

/// The data's disk, and the processes that write there.
pub(super) struct DataDisk<'a> {
    running: &'a mut Running,
    disk: Disk,
}

impl<'a> DataDisk<'a> {
    /// Runs one method with the disk in hand.
    pub(super) async fn with<T>(
        stage: &'a mut Stage<'_>,
        act: impl AsyncFnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let disk = stage.running.disk.take().context("this trial has no disk of its own")?;
        let mut data = Self { running: stage.running, disk };
        let result = act(&mut data).await;
        data.running.disk = Some(data.disk);
        result
    }

    /// Power cut: all writers are stopped, the disk forgets what was not on it, they are killed, the
    /// journal is replayed and checked. Stopped first, because an answer that is given while the
    /// disk dies proves nothing. The disk stays unmounted. Proof: two canaries.
    pub(super) async fn cut(&mut self) -> anyhow::Result<String> {
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
    pub(super) async fn power(&mut self) -> anyhow::Result<String> {
        self.kill().await?;
        self.disk.mount(&self.running.undo).await?;
        let mut proofs = vec!["mounted".to_owned()];
        for index in self.writers() {
            self.running.launch(index).await?;
            proofs.push(format!("{}: ready", self.name(index)));
        }
        Ok(proofs.join("; "))
    }

    /// Takes all room.
    pub(super) async fn fill(&mut self) -> anyhow::Result<String> {
        self.disk.fill()
    }

    /// Gives it back. Proof: room, and every process that writes there is ready.
    pub(super) async fn empty(&mut self) -> anyhow::Result<String> {
        let freed = self.disk.empty()?;
        for index in self.writers() {
            let ready = await_ready(self.running, index).await;
            ready.with_context(|| format!("{freed}, but {} is not ready", self.name(index)))?;
        }
        Ok(freed)
    }

    fn writers(&self) -> Vec<usize> {
        self.running.spec.players("disk")
    }

    fn name(&self, index: usize) -> String {
        self.running.spec.processes[index].name.clone()
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

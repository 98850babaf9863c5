//! The disk that the system's data lies on, for the kinds that harm it.

use anyhow::Context;

use super::need::Need;
use super::stage::Stage;
use scenario::Target;
use supervise::disk::{self, Disk};
use supervise::launch::Running;

/// A disk that belongs to one trial.
pub(super) const OWN_DISK: Need = Need {
    words: "root, e2fsprogs",
    without: "no disk of its own can be mounted",
    lacks: |folder| Box::pin(disk::lacks(folder)),
};

/// The data's disk, and the processes that write there.
pub(super) struct DataDisk<'a> {
    pub(super) running: &'a mut Running,
    pub(super) disk: Disk,
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

    pub(super) fn writers(&self) -> Vec<usize> {
        self.running.spec.harmed(&Target::Disk)
    }

    pub(super) fn name(&self, index: usize) -> String {
        self.running.spec.processes[index].name.clone()
    }
}

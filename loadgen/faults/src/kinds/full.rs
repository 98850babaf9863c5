//! The disk has no free byte; it has again at the end.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::disk::DataDisk;
use crate::kind::{Facts, Kind};
use crate::process::await_ready;
use crate::proof::Proof;
use crate::stage::Scene;

/// The disk has no free byte; it has again at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Full {}

impl Kind for Full {
    const FACTS: Facts = Facts {
        name: "full",
        state: "full",
        about: "no byte is free",
        seen: "statvfs: no byte free",
        healed: "statvfs: room, and the writers are ready",
        ..Facts::DISK
    };

    type Held = ();

    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        DataDisk::with(scene.stage, async |disk| disk.disk.fill()).await
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        DataDisk::with(scene.stage, async |disk| disk.empty().await).await
    }
}

impl DataDisk<'_> {
    /// Gives it back. Proof: room, and every process that writes there is ready.
    async fn empty(&mut self) -> anyhow::Result<String> {
        let freed = self.disk.empty()?;
        for index in self.writers() {
            let ready = await_ready(self.running, index).await;
            ready.with_context(|| format!("{freed}, but {} is not ready", self.name(index)))?;
        }
        Ok(freed)
    }
}

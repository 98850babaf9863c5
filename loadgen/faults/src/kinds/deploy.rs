//! A new version, one process after the other, each when the one before is ready.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts, Kind, Lasts};
use crate::process::{Processes, relaunch};
use crate::proof::Proof;
use crate::stage::Scene;

/// A new version, one process after the other, each when the one before is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {}

impl Kind for Deploy {
    const FACTS: Facts = Facts {
        name: "deploy",
        lasts: Lasts::Never,
        state: "deployed anew",
        about: "ended gracefully and started again as a new version, one after the other",
        seen: "exit status 0, and another process id",
        example: Example { target: "auth", lasts: "", parameters: "" },
        ..Facts::ROLE
    };

    type Held = ();

    /// Proof: exit status 0 and another process id, of each.
    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        // A new version comes to all of them, whoever leads.
        let all = scene.stage.running.spec.harmed(scene.target);
        let Processes { running, .. } = Processes::before_the_end(scene).await;
        let mut proofs = Vec::new();
        for index in all {
            let old = running.pid(index).context("a process that does not run")?;
            let ended = Processes { running: &mut *running, players: vec![index] }.terminate();
            proofs.push(ended.await?);
            let version = running.next_version(index);
            let launched = relaunch(running, index, old).await?;
            proofs.push(format!("{launched}, version {version}"));
        }
        Ok(proofs.join("; "))
    }

    /// Proof: each is ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        scene.raise().await
    }
}

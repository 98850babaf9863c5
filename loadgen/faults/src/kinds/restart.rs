//! SIGTERM to all, and started again as soon as they have ended.

use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts, Kind, Lasts};
use crate::process::{Processes, relaunch};
use crate::proof::Proof;
use crate::stage::Scene;

/// SIGTERM to all, and started again as soon as they have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {}

impl Kind for Restart {
    const FACTS: Facts = Facts {
        name: "restart",
        lasts: Lasts::Never,
        state: "restarted",
        about: "ended gracefully and started again, all at once",
        seen: "exit status 0, and another process id",
        example: Example { lasts: "", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = ();

    /// Proof: exit status 0 and another process id.
    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        let Processes { running, players } = Processes::before_the_end(scene).await;
        let old: Vec<u32> = players.iter().filter_map(|i| running.pid(*i)).collect();
        let ended = Processes { running: &mut *running, players: players.clone() }.terminate();
        let mut proofs = vec![ended.await?];
        for (index, old) in players.into_iter().zip(old) {
            proofs.push(relaunch(running, index, old).await?);
        }
        Ok(proofs.join("; "))
    }

    /// Proof: each is ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        scene.raise().await
    }
}

//! SIGTERM and a graceful end; started again at the end.

use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts, Kind};
use crate::process::Processes;
use crate::proof::Proof;
use crate::stage::Scene;

/// SIGTERM and a graceful end; started again at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminate {}

impl Kind for Terminate {
    const FACTS: Facts = Facts {
        name: "terminate",
        state: "stopped",
        about: "SIGTERM and a graceful end; started again at the end",
        seen: "exit status 0, and nobody left of the process",
        example: Example { target: "payments", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = ();

    /// Proof: exit status 0, which only a graceful end has, and nobody is left.
    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        Processes::before_the_end(scene).await.terminate().await
    }

    /// Proof: each is ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        scene.raise().await
    }
}

//! SIGKILL; started again at the end.

use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts, Kind};
use crate::process::Processes;
use crate::proof::Proof;
use crate::stage::Scene;

/// SIGKILL; started again at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {}

impl Kind for Kill {
    const FACTS: Facts = Facts {
        name: "kill",
        state: "dead",
        about: "SIGKILL; started again at the end",
        seen: "the status of signal 9, nobody left of the process, and a refused connection",
        example: Example { target: "payments", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = ();

    /// Proof: how each ended, that nobody is left of it, and that nobody listens any more.
    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        Processes::before_the_end(scene).await.kill().await
    }

    /// Proof: each is ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        scene.raise().await
    }
}

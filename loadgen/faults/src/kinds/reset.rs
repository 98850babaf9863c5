//! Of a link: connections are reset.

use anyhow::bail;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::bounds::check_share;
use crate::kind::{Example, Facts, Kind, Proof};
use crate::link::{Edge, Onset};
use crate::{PROOF_WITHIN, Scene};
use link_proxy::{Answered, Harm};

/// Of a link: connections are reset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl Kind for Reset {
    const FACTS: Facts = Facts {
        name: "reset",
        state: "reset",
        about: "connections are reset, and new ones as soon as they are made",
        example: Example { harm: "link:entry", parameters: "share = 0.5", ..Facts::LINK.example },
        ..Facts::LINK
    };

    type Held = Onset;

    fn check(&self) -> Result<(), String> {
        check_share(self.share)
    }

    /// Proof: a look was cut, and the proxy counts it.
    async fn inject(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        let mut edge = Edge::of(scene, self.harm(), self.share, onset)?;
        let before = edge.begin().await?;
        let deadline = Instant::now() + PROOF_WITHIN;
        while Instant::now() < deadline {
            let met = edge.look(PROOF_WITHIN).await;
            let reset = edge.since_onset().await?.reset;
            if met == Answered::Cut && reset > 0 {
                return Ok(format!("{before}, then reset; {reset} connections reset"));
            }
        }
        bail!("{before}, and no look was reset")
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        Edge::of(scene, self.harm(), self.share, onset)?.heal().await
    }
}

impl Reset {
    fn harm(&self) -> Harm {
        Harm::Reset
    }
}

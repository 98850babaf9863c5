//! Of a link: connections are closed behind the client's back.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::bounds::check_share;
use crate::kind::{Example, Facts, Kind, Proof};
use crate::link::{Edge, Onset};
use crate::{PROOF_WITHIN, Scene};
use link_proxy::{Answered, Harm};

/// Of a link: connections are closed behind the client's back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalfOpen {
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl Kind for HalfOpen {
    const FACTS: Facts = Facts {
        name: "half-open",
        state: "half open",
        about: "connections are closed behind the client's back; new ones work",
        example: Example { harm: "link:entry", ..Facts::LINK.example },
        ..Facts::LINK
    };

    type Held = Onset;

    fn check(&self) -> Result<(), String> {
        check_share(self.share)
    }

    /// Proof: connections were closed on the upstream's side alone, and a new one works.
    async fn inject(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        let mut edge = Edge::of(scene, self.harm(), self.share, onset)?;
        let before = edge.begin().await?;
        let met = edge.look(PROOF_WITHIN).await;
        let half_opened = edge.since_onset().await?.half_opened;
        ensure!(half_opened > 0, "{before}, but no connection was open to be closed half");
        ensure!(matches!(met, Answered::Well(_)), "{before}, but a new connection met {met:?}");
        Ok(format!("{before}; {half_opened} connections half-open, a new one answers"))
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        Edge::of(scene, self.harm(), self.share, onset)?.heal().await
    }
}

impl HalfOpen {
    fn harm(&self) -> Harm {
        Harm::HalfOpen
    }
}

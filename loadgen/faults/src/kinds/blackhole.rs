//! Of a link: bytes are swallowed, nobody is told.

use anyhow::bail;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::bounds::check_share;
use crate::kind::{Facts, Kind, Proof};
use crate::link::{Edge, Onset, SILENT_FOR, ms};
use crate::{PROOF_WITHIN, Scene};
use link_proxy::{Answered, Direction, Harm};

/// Of a link: bytes are swallowed, nobody is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blackhole {
    /// Which way; both if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl Kind for Blackhole {
    const FACTS: Facts = Facts {
        name: "blackhole",
        state: "a black hole",
        about: "bytes are swallowed, and nobody is told",
        ..Facts::LINK
    };

    type Held = Onset;

    fn check(&self) -> Result<(), String> {
        check_share(self.share)
    }

    /// Proof: bytes were swallowed, and a look met silence.
    async fn inject(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        let mut edge = Edge::of(scene, self.harm(), self.share, onset)?;
        let before = edge.begin().await?;
        let deadline = Instant::now() + PROOF_WITHIN;
        while Instant::now() < deadline {
            let met = edge.look(SILENT_FOR).await;
            let swallowed = edge.since_onset().await?.swallowed_bytes;
            if met == Answered::Not && (swallowed > 0 || edge.only_ends()) {
                let silent = ms(SILENT_FOR);
                return Ok(format!(
                    "{before}, silence for {silent} ms; {swallowed} bytes swallowed"
                ));
            }
        }
        bail!("{before}, and still answers")
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        Edge::of(scene, self.harm(), self.share, onset)?.heal().await
    }
}

impl Blackhole {
    fn harm(&self) -> Harm {
        Harm::BlackHole { direction: self.direction.unwrap_or_default() }
    }
}

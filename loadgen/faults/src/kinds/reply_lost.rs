//! Of a link: the request arrives, the reply is lost and the client reset.

use serde::{Deserialize, Serialize};

use crate::bounds::check_share;
use crate::kind::{Example, Facts, Kind, Proof};
use crate::link::{Edge, Onset, counted};
use crate::{PROOF_WITHIN, Scene};
use link_proxy::Harm;

/// Of a link: the request arrives, the reply is lost and the client reset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyLost {
    /// Of replies, those that are lost; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl Kind for ReplyLost {
    const FACTS: Facts = Facts {
        name: "reply-lost",
        state: "losing replies",
        about: "the work is done, the answer never comes: the client is reset",
        example: Example { parameters: "share = 0.5", ..Facts::LINK.example },
        ..Facts::LINK
    };

    type Held = Onset;

    fn check(&self) -> Result<(), String> {
        check_share(self.share)
    }

    /// Proof: replies were lost, of customers or of looks.
    async fn inject(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        let edge = Edge::of(scene, self.harm(), self.share, onset)?;
        edge.until(PROOF_WITHIN, |now, onset| {
            counted("replies lost", now.replies_lost, onset.replies_lost)
        })
        .await
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        Edge::of(scene, self.harm(), self.share, onset)?.heal().await
    }
}

impl ReplyLost {
    fn harm(&self) -> Harm {
        Harm::ReplyLost
    }
}

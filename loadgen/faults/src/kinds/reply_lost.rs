//! Of a link: the request arrives, the reply is lost and the client reset.

use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts};
use crate::link::{Edge, OfLink, counted};
use crate::proof::{PROOF_WITHIN, Proof};
use link_proxy::LinkFault;

/// Of a link: the request arrives, the reply is lost and the client reset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyLost {
    /// Of replies, those that are lost; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl OfLink for ReplyLost {
    const FACTS: Facts = Facts {
        name: "reply-lost",
        state: "losing replies",
        about: "the work is done, the answer never comes: the client is reset",
        example: Example { parameters: "share = 0.5", ..Facts::LINK.example },
        ..Facts::LINK
    };

    fn fault(&self) -> LinkFault {
        LinkFault::ReplyLost
    }

    fn share(&self) -> Option<f64> {
        self.share
    }

    /// Proof: replies were lost, of customers or of looks.
    async fn inject(&self, edge: Edge<'_>) -> Proof {
        edge.until(PROOF_WITHIN, |_, seen| counted("replies lost", seen.replies_lost)).await
    }
}

//! Of a link: connections are reset.

use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts};
use crate::link::{Edge, OfLink, counted};
use crate::proof::{PROOF_WITHIN, Proof};
use link_proxy::{Answered, LinkFault};

/// Of a link: connections are reset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl OfLink for Reset {
    const FACTS: Facts = Facts {
        name: "reset",
        state: "reset",
        about: "connections are reset, and new ones as soon as they are made",
        example: Example { target: "link:entry", parameters: "share = 0.5", ..Facts::LINK.example },
        ..Facts::LINK
    };

    fn fault(&self) -> LinkFault {
        LinkFault::Reset
    }

    fn share(&self) -> Option<f64> {
        self.share
    }

    /// Proof: a look was cut, and the proxy counts it.
    async fn inject(&self, edge: Edge<'_>) -> Proof {
        edge.until(PROOF_WITHIN, |met, seen| {
            counted("connections reset", seen.reset).filter(|_| met == Answered::Cut)
        })
        .await
    }
}

//! Of a link: connections are closed behind the client's back.

use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts};
use crate::link::{Edge, OfLink, counted};
use crate::proof::{PROOF_WITHIN, Proof};
use link_proxy::{Answered, LinkFault};

/// Of a link: connections are closed behind the client's back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalfOpen {
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl OfLink for HalfOpen {
    const FACTS: Facts = Facts {
        name: "half-open",
        state: "half open",
        about: "connections are closed behind the client's back; new ones work",
        example: Example { target: "link:entry", ..Facts::LINK.example },
        ..Facts::LINK
    };

    fn fault(&self) -> LinkFault {
        LinkFault::HalfOpen
    }

    fn share(&self) -> Option<f64> {
        self.share
    }

    /// Proof: connections were closed on the upstream's side alone, and a new one works.
    async fn inject(&self, edge: Edge<'_>) -> Proof {
        edge.until(PROOF_WITHIN, |met, seen| {
            let works = matches!(met, Answered::Well(_));
            counted("connections half-open", seen.half_opened).filter(|_| works)
        })
        .await
    }
}

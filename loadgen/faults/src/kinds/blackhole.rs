//! Of a link: bytes are swallowed, nobody is told.

use serde::{Deserialize, Serialize};

use crate::kind::Facts;
use crate::link::{Edge, OfLink, SILENT_FOR};
use crate::proof::Proof;
use link_proxy::{Answered, Direction, LinkFault};

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

impl OfLink for Blackhole {
    const FACTS: Facts = Facts {
        name: "blackhole",
        state: "a black hole",
        about: "bytes are swallowed, and nobody is told",
        ..Facts::LINK
    };

    fn fault(&self) -> LinkFault {
        LinkFault::BlackHole { direction: self.direction.unwrap_or_default() }
    }

    fn share(&self) -> Option<f64> {
        self.share
    }

    /// Proof: bytes were swallowed, and a look met silence.
    async fn inject(&self, edge: Edge<'_>) -> Proof {
        let only_ends = edge.only_ends();
        edge.until(SILENT_FOR, |met, seen| {
            let swallowed = seen.swallowed_bytes;
            let proved = met == Answered::Not && (swallowed > 0 || only_ends);
            proved.then(|| format!("{swallowed} bytes swallowed"))
        })
        .await
    }
}

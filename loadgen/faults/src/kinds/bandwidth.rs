//! Of a link: bytes are few.

use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts};
use crate::link::{Edge, OfLink};
use crate::proof::Proof;
use link_proxy::{Direction, LinkFault};

/// Of a link: bytes are few.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Each connection's each way; 0 holds everything until the heal.
    pub bytes_per_s: u64,
    /// Which way; both if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl OfLink for Bandwidth {
    const FACTS: Facts = Facts {
        name: "bandwidth",
        state: "narrow",
        about: "`bytes_per_s` pass, each way; 0 holds everything",
        example: Example { parameters: "bytes_per_s = 4000", ..Facts::LINK.example },
        ..Facts::LINK
    };

    fn fault(&self) -> LinkFault {
        let direction = self.direction.unwrap_or_default();
        LinkFault::Bandwidth { bytes_per_s: self.bytes_per_s, direction }
    }

    fn share(&self) -> Option<f64> {
        self.share
    }

    /// Proof: bytes had to wait.
    async fn inject(&self, edge: Edge<'_>) -> Proof {
        edge.until_held().await
    }
}

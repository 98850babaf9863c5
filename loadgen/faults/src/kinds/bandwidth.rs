//! Of a link: bytes are few.

use serde::{Deserialize, Serialize};

use crate::Scene;
use crate::bounds::check_share;
use crate::kind::{Example, Facts, Kind, Proof};
use crate::link::{Edge, Onset};
use link_proxy::{Direction, Harm};

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

impl Kind for Bandwidth {
    const FACTS: Facts = Facts {
        name: "bandwidth",
        state: "narrow",
        about: "`bytes_per_s` pass, each way; 0 holds everything",
        example: Example { parameters: "bytes_per_s = 4000", ..Facts::LINK.example },
        ..Facts::LINK
    };

    type Held = Onset;

    fn check(&self) -> Result<(), String> {
        check_share(self.share)
    }

    /// Proof: bytes had to wait.
    async fn inject(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        Edge::of(scene, self.harm(), self.share, onset)?.until_held().await
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        Edge::of(scene, self.harm(), self.share, onset)?.heal().await
    }
}

impl Bandwidth {
    fn harm(&self) -> Harm {
        let direction = self.direction.unwrap_or_default();
        Harm::Bandwidth { bytes_per_s: self.bytes_per_s, direction }
    }
}

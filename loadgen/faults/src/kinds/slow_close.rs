//! Of a link: ends of streams are late.

use serde::{Deserialize, Serialize};

use crate::Scene;
use crate::bounds::{check_delay, check_share};
use crate::kind::{Example, Facts, Kind, Proof};
use crate::link::{Edge, Onset};
use link_proxy::{Direction, Harm};
use scenario::config::Span;

/// Of a link: ends of streams are late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowClose {
    /// By how much.
    pub delay: Span,
    /// Which way; both if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl Kind for SlowClose {
    const FACTS: Facts = Facts {
        name: "slow-close",
        state: "slow to close",
        about: "the end of a stream is `delay` late",
        example: Example { parameters: "delay = \"300ms\"", ..Facts::LINK.example },
        ..Facts::LINK
    };

    type Held = Onset;

    fn check(&self) -> Result<(), String> {
        check_delay(self.delay)?;
        check_share(self.share)
    }

    /// Proof: an end had to wait.
    async fn inject(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        let edge = Edge::of(scene, self.harm(), self.share, onset)?;
        edge.by_its_end().until_held().await
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        Edge::of(scene, self.harm(), self.share, onset)?.heal().await
    }
}

impl SlowClose {
    fn harm(&self) -> Harm {
        Harm::SlowClose { delay: self.delay, direction: self.direction.unwrap_or_default() }
    }
}

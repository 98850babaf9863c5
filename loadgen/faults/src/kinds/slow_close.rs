//! Of a link: ends of streams are late.

use serde::{Deserialize, Serialize};

use crate::bounds::check_delay;
use crate::kind::{Example, Facts};
use crate::link::{Edge, OfLink};
use crate::proof::Proof;
use link_proxy::{Direction, LinkFault};
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

impl OfLink for SlowClose {
    const FACTS: Facts = Facts {
        name: "slow-close",
        state: "slow to close",
        about: "the end of a stream is `delay` late",
        example: Example { parameters: "delay = \"300ms\"", ..Facts::LINK.example },
        ..Facts::LINK
    };

    fn fault(&self) -> LinkFault {
        LinkFault::SlowClose { delay: self.delay, direction: self.direction.unwrap_or_default() }
    }

    fn share(&self) -> Option<f64> {
        self.share
    }

    fn check(&self) -> Result<(), String> {
        check_delay(self.delay)
    }

    /// Proof: an end had to wait.
    async fn inject(&self, edge: Edge<'_>) -> Proof {
        edge.by_its_end().until_held().await
    }
}

//! Of a link: small writes with pauses.

use serde::{Deserialize, Serialize};

use crate::bounds::check_delay;
use crate::kind::{Example, Facts};
use crate::link::{Edge, OfLink};
use crate::proof::Proof;
use link_proxy::{Direction, LinkFault};
use scenario::config::Span;

/// Of a link: small writes with pauses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Each write's.
    pub size_bytes: u32,
    /// The pause between.
    pub delay: Span,
    /// Which way; both if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl OfLink for Slice {
    const FACTS: Facts = Facts {
        name: "slice",
        state: "slicing what it carries",
        about: "writes of `size_bytes` with pauses of `delay`",
        example: Example {
            target: "link:entry",
            parameters: "size_bytes = 20\ndelay = \"2ms\"\ndirection = \"to-client\"",
            ..Facts::LINK.example
        },
        ..Facts::LINK
    };

    fn fault(&self) -> LinkFault {
        let (size_bytes, delay) = (self.size_bytes, self.delay);
        LinkFault::Slice { size_bytes, delay, direction: self.direction.unwrap_or_default() }
    }

    fn share(&self) -> Option<f64> {
        self.share
    }

    fn check(&self) -> Result<(), String> {
        check_delay(self.delay)?;
        if self.size_bytes == 0 {
            return Err("size_bytes is 0; expected at least 1".to_owned());
        }
        Ok(())
    }

    /// Proof: bytes had to wait.
    async fn inject(&self, edge: Edge<'_>) -> Proof {
        edge.until_held().await
    }
}

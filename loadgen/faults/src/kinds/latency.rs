//! Of a link: bytes are late.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::check_delay;
use crate::kind::{Example, Facts};
use crate::link::{Edge, OfLink, counted};
use crate::proof::{PROOF_WITHIN, Proof};
use link_proxy::{Answered, Direction, LinkFault};
use scenario::config::Span;

/// Round trips before bytes are late.
const LOOKS_BEFORE: u32 = 3;

/// Of a link: bytes are late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// By how much, each way.
    pub delay: Span,
    /// At most this much earlier or later than the delay, than which it is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// Which way; both if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Of connections, those that are harmed; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl OfLink for Latency {
    const FACTS: Facts = Facts {
        name: "latency",
        state: "slow",
        about: "bytes are `delay` ± `jitter` late, each way",
        example: Example {
            target: "link:entry",
            parameters: "delay = \"80ms\"\njitter = \"20ms\"",
            ..Facts::LINK.example
        },
        ..Facts::LINK
    };

    fn fault(&self) -> LinkFault {
        let (delay, jitter) = (self.delay, self.jitter.unwrap_or_default());
        LinkFault::Latency { delay, jitter, direction: self.direction.unwrap_or_default() }
    }

    fn share(&self) -> Option<f64> {
        self.share
    }

    fn check(&self) -> Result<(), String> {
        check_delay(self.delay)?;
        if let Some(jitter) = self.jitter.filter(|jitter| *jitter >= self.delay) {
            return Err(format!(
                "jitter is {jitter}; expected less than the delay, or some bytes are not late at all"
            ));
        }
        Ok(())
    }

    /// Proof: bytes had to wait, and a round trip took as long as it must and longer than before.
    async fn inject(&self, edge: Edge<'_>) -> Proof {
        let (least, usual) = (edge.least(), usual(&edge).await);
        edge.until(PROOF_WITHIN + 4 * least, |met, seen| {
            let late =
                matches!(met, Answered::Well(took) if is_late(took, least, usual, seen.held));
            counted("arrivals had to wait", seen.held).filter(|_| late)
        })
        .await
    }
}

/// The least round trip of some looks before the fault: one alone may meet a busy machine.
async fn usual(edge: &Edge<'_>) -> Option<Duration> {
    let mut usual = None;
    for _ in 0..LOOKS_BEFORE {
        if let Answered::Well(took) = edge.look(PROOF_WITHIN).await {
            usual = Some(usual.map_or(took, |least: Duration| least.min(took)));
        }
    }
    usual
}

/// Whether a look met the lateness: a slow machine delays looks, too, and a look may be outside of
/// the share, but then the proxy holds nothing or the round trip is as before.
fn is_late(took: Duration, least: Duration, usual: Option<Duration>, held: u64) -> bool {
    held > 0 && took >= least && usual.is_some_and(|usual| took > usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(took_ms: u64, usual_ms: Option<u64>, held: u64, expected: bool) {
        let ms = Duration::from_millis;
        assert_eq!(is_late(ms(took_ms), ms(10), usual_ms.map(ms), held), expected);
    }

    #[test]
    fn a_slow_look_alone_proves_no_lateness() {
        check(11, Some(1), 2, true);
        check(9, Some(1), 2, false);
        check(11, Some(1), 0, false);
        check(11, Some(12), 2, false);
        check(11, None, 2, false);
    }
}

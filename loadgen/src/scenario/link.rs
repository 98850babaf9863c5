//! What a scenario says of links: `harm = "link:NAME"` harms one, `links = true` only measures them.

use super::{FaultKind, FaultSpec, Scenario};
use crate::config::Span;
use crate::link::Harm;

/// A link that is slower than this is a black hole.
const DELAY_MAX: Span = Span::secs(60);

/// Before the name of a link, where a role could stand.
const LINK: &str = "link:";

impl FaultSpec {
    /// The link that is harmed, if it is one.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        self.harm.strip_prefix(LINK)
    }

    /// What is done to the link, if this kind is done to links.
    #[must_use]
    pub fn link_harm(&self) -> Option<Harm> {
        let (delay, jitter) = (self.delay.unwrap_or_default(), self.jitter.unwrap_or_default());
        let direction = self.direction.unwrap_or_default();
        Some(match self.kind {
            FaultKind::Latency => Harm::Latency { delay, jitter, direction },
            FaultKind::Bandwidth => {
                Harm::Bandwidth { bytes_per_s: self.bytes_per_s.unwrap_or_default(), direction }
            }
            FaultKind::Blackhole => Harm::BlackHole { direction },
            FaultKind::Reset => Harm::Reset,
            FaultKind::ReplyLost => Harm::ReplyLost,
            FaultKind::HalfOpen => Harm::HalfOpen,
            FaultKind::SlowClose => Harm::SlowClose { delay, direction },
            FaultKind::Slice => {
                let size_bytes = self.size_bytes.unwrap_or_default();
                Harm::Slice { size_bytes, delay, direction }
            }
            _ => return None,
        })
    }

    pub(super) fn check_link_values(&self) -> Result<(), String> {
        match (self.link(), self.link_harm()) {
            (None, Some(_)) => {
                return Err("this kind harms a link; expected harm = \"link:NAME\"".to_owned());
            }
            (Some(_), None) => return Err("this kind harms a role, not a link".to_owned()),
            _ => {}
        }
        if let Some(delay) = self.delay.filter(|d| d.0.is_zero() || *d > DELAY_MAX) {
            return Err(format!("delay is {delay}; expected at most {DELAY_MAX}, and more than 0"));
        }
        if let Some(jitter) = self.jitter.filter(|j| *j >= self.delay.unwrap_or_default()) {
            return Err(format!(
                "jitter is {jitter}; expected less than the delay, or some bytes are not late at all"
            ));
        }
        if let Some(share) = self.share.filter(|share| !(*share > 0.0 && *share <= 1.0)) {
            return Err(format!("share is {share}; expected more than 0, at most 1"));
        }
        if self.size_bytes == Some(0) {
            return Err("size_bytes is 0; expected at least 1".to_owned());
        }
        Ok(())
    }
}

impl Scenario {
    /// Whether links go through the fault proxy: all of every system, or none.
    #[must_use]
    pub fn proxies_links(&self) -> bool {
        self.links || self.harms().any(|fault| fault.link().is_some())
    }
}

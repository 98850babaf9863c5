//! What a scenario says of links: `harm = "link:NAME"` harms one, `links = true` only measures them.

use super::{FaultSpec, Scenario};

/// Before the name of a link, where a role could stand.
const LINK: &str = "link:";

impl FaultSpec {
    /// The link that is harmed, if it is one.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        self.harm.strip_prefix(LINK)
    }
}

impl Scenario {
    /// Whether links go through the fault proxy: all of every system, or none.
    #[must_use]
    pub fn proxies_links(&self) -> bool {
        self.links || self.faults.iter().any(|fault| fault.link().is_some())
    }
}

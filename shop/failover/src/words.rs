//! What servers and their manager say to each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Servers of a pair.
pub const NODES: usize = 2;

/// What a server's data is, as it notes it beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Data {
    /// There is none, or a copy that was not finished.
    #[default]
    None,
    /// It was written to in this term.
    Primary(u64),
    /// A copy of what is written in this term.
    Replica(u64),
}

/// What a server tells when it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Report {
    /// Tells this process from another that ran before it.
    pub life: u64,
    /// Counts what this process has asked: what comes late is not heard.
    pub asked: u64,
    /// What it has.
    pub data: Data,
    /// Whether it answers, in the role that its data says.
    pub runs: bool,
    /// The one that writes: whether another is being sent what it writes.
    pub streams: bool,
    /// The one that writes: whether its commits wait until another has them, too.
    pub waits: bool,
    /// The one that writes: whether another has had, for a while, all that was written a moment before.
    pub followed: bool,
}

/// Who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Who is written to.
    Primary,
    /// Who copies.
    Replica,
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Order {
    /// Of two orders the one of the higher term is the newer one.
    pub term: u64,
    /// What it is to be.
    pub role: Role,
    /// Milliseconds, from when it asked, for which it may be the one that writes.
    pub lease_ms: u64,
    /// Whether a copy has everything only if commits wait for it.
    pub synchronous: bool,
    /// Whether its commits shall wait until the other has them.
    pub waits: bool,
    /// Whether nobody was ever written to: it may begin with nothing.
    pub first: bool,
    /// Whether the other may take over.
    pub followed: bool,
}

impl Order {
    /// How long, from when it was asked for, its role lasts.
    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

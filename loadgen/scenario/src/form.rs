//! Who waits for whom: open, closed and partly open loops.

use super::Scenario;
use crate::config::Span;
use record::Operation;

/// Who waits for whom (Schroeder et al., NSDI 2006).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Loop {
    /// Arrivals wait for nobody.
    #[default]
    Open,
    /// A fixed number of users, each of whom waits for the answer.
    Closed {
        /// How many.
        users: u32,
        /// Their mean thinking time.
        think_ns: u64,
        /// When they stop.
        until_ns: u64,
        /// They wait until their order is final; the pause before they look it up for the first time.
        poll_ns: Option<u64>,
    },
    /// Sessions arrive openly; their steps wait for each other.
    PartlyOpen {
        /// What a session does.
        steps: Vec<Operation>,
        /// The mean thinking time between steps.
        think_ns: u64,
    },
}

impl Loop {
    /// The word in reports.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed { .. } => "closed",
            Self::PartlyOpen { .. } => "partly open",
        }
    }
}

impl Scenario {
    /// Who waits for whom.
    #[must_use]
    pub fn form(&self) -> Loop {
        let nanos = |span: Span| u64::try_from(span.0.as_nanos()).unwrap_or(u64::MAX);
        match (&self.closed, &self.session) {
            (Some(closed), _) => Loop::Closed {
                users: closed.users,
                think_ns: nanos(closed.think),
                until_ns: nanos(closed.duration),
                poll_ns: closed.poll.map(nanos),
            },
            (None, Some(session)) => Loop::PartlyOpen {
                steps: session.operations().unwrap_or_default(),
                think_ns: nanos(session.think),
            },
            (None, None) => Loop::Open,
        }
    }
}

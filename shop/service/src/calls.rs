//! How a service of the synchronous system calls others: which rung of the ladder it stands on.

use std::time::Duration;

use clap::{Args, ValueEnum};
use http_server::{Limits, Settings};
use web::client::{Again, Http, Manner};

/// A request without a time-out of its own: as good as none.
const NEVER: Duration = Duration::from_secs(24 * 3_600);

/// A rung: what is told of each stands at its [`Manner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rung {
    /// No time-outs, at the edge neither; asks once
    Naive,
    /// A second for each try; three more at once, at every hop
    Blind,
    /// What guides recommend: time-outs, retries after pauses, a breaker, a bound
    Usual,
    /// What the big ones do: time-outs from measured tails, few retries under a budget, throttling
    Hardened,
}

/// How it is said on a command line.
#[derive(Clone, Copy, Debug, Args)]
pub struct CallArgs {
    /// The manner in which other services are called; without it each is asked once, for as long as a request lives
    #[arg(long, value_name = "RUNG", value_enum)]
    pub calls: Option<Rung>,
}

impl Rung {
    fn manner(self) -> Manner {
        match self {
            Self::Naive => Manner::NAIVE,
            Self::Blind => Manner::BLIND,
            Self::Usual => Manner::USUAL,
            Self::Hardened => Manner::HARDENED,
        }
    }

    /// The big ones ask again in one layer only, where the customer is; the others at every hop.
    fn last_manner(self) -> Manner {
        match self {
            Self::Hardened => Manner { again: Again::NEVER, ..Manner::HARDENED },
            other => other.manner(),
        }
    }
}

impl CallArgs {
    /// The client for one service.
    #[must_use]
    pub fn client(&self, http: &Http) -> Http {
        self.calls.map_or_else(|| http.clone(), |rung| http.in_manner(rung.manner()))
    }

    /// The client for the card network, behind which there is nobody.
    #[must_use]
    pub fn last_client(&self, http: &Http) -> Http {
        self.calls.map_or_else(|| http.clone(), |rung| http.in_manner(rung.last_manner()))
    }

    /// What is told of the former, if it was said.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        self.calls.map(|rung| rung.manner().settings())
    }

    /// What is told of the latter.
    #[must_use]
    pub fn last_settings(&self) -> Option<Settings> {
        self.calls.map(|rung| rung.last_manner().settings())
    }

    /// What the server grants its own clients.
    #[must_use]
    pub fn limits(&self) -> Limits {
        match self.calls {
            Some(Rung::Naive) => Limits { request: NEVER, ..Limits::default() },
            Some(_) | None => Limits::default(),
        }
    }
}

//! The bounds in force.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Settings;

/// From the end of a request's head to its answer, at every server.
pub const REQUEST: Duration = Duration::from_secs(3);
const CONNECTIONS_MAX: usize = 4_096;
/// Descriptors of a process for all else: databases, logs, its listener, refusals.
const OTHERS: u64 = 128;

/// What a server grants its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A longer body is answered 413.
    pub body_bytes_max: usize,
    /// From the first byte of a head to its last; checked every half of it, so a slow client is
    /// cut off after 1 to 1.5 times this.
    pub header_read: Duration,
    /// From the end of the head to the answer: body (else 408) and handler (else 504).
    pub request: Duration,
    /// From an answer to the moment at which the client has taken it from us; then the connection is
    /// cut. Checked every half of it, as `header_read`.
    pub write: Duration,
    /// Bytes of long answers (more than 64 KiB each) that clients have not taken yet, of all connections
    /// together; one more is answered 503.
    pub unread_bytes_max: usize,
    /// A connection more is answered 503 and closed.
    pub connections_max: usize,
    /// A connection without a request is closed after this.
    pub idle: Duration,
    /// What a stopping server grants to requests in flight.
    pub drain: Duration,
}

impl Default for Limits {
    /// The limits of every process of the experiment; `idle` is nginx's `keepalive_timeout`.
    fn default() -> Self {
        Self {
            body_bytes_max: 16 * 1024,
            header_read: Duration::from_secs(5),
            request: REQUEST,
            write: Duration::from_secs(10),
            unread_bytes_max: 64 * 1024 * 1024,
            connections_max: CONNECTIONS_MAX,
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// What a server says of them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::default()
            .with("connections at once", self.connections_max)
            .with("body, at most", format!("{} KiB", self.body_bytes_max / 1_024))
            .time("request time-out", self.request)
            .time("idle connection is closed after", self.idle)
            .time("drain at the end, at most", self.drain)
    }

    /// Raises the process's soft limit on descriptors to the hard one, and takes no more connections
    /// than that allows for: each may need another to a service that is called on its behalf.
    #[must_use]
    pub fn within_descriptors(self) -> Self {
        let most = connections(raised()).min(self.connections_max);
        if most < self.connections_max {
            process_log::say(format_args!(
                "takes {most} connections at once instead of {}: the hard limit on descriptors is lower \
                 than 2 x {0} + {OTHERS} (ulimit -Hn)",
                self.connections_max
            ));
        }
        Self { connections_max: most, ..self }
    }
}

/// The limit in force; `None` without one.
fn raised() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Whoever may not raise it keeps what there is.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current
}

fn connections(descriptors: Option<u64>) -> usize {
    let most = descriptors.map_or(u64::MAX, |all| all.saturating_sub(OTHERS) / 2);
    usize::try_from(most).unwrap_or(usize::MAX).max(1)
}

//! The bounds in force.

use std::time::Duration;

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
            request: Duration::from_secs(3),
            connections_max: 4_096,
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(10),
        }
    }
}

//! What can go wrong between a publisher and a consumer, named by meaning.

use serde::{Deserialize, Serialize};

/// The result of a broker operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a broker operation was refused or could not be finished.
///
/// `Full`, `Fenced` and `Invalid` are certain: nothing changed. After `Unavailable` and `Protocol`
/// the operation may have had an effect; publishing again may deliver twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The topic holds as many messages as it may; nothing was stored.
    #[error("topic {topic} is full: it holds its {depth_max} messages; retry later")]
    Full {
        /// The topic that refused.
        topic: String,
        /// Its bound, in messages.
        depth_max: u64,
    },
    /// The lease ended, was settled, or belongs to a later attempt.
    #[error("this lease is no longer yours")]
    Fenced,
    /// What was asked for breaks a limit or a rule.
    #[error("{0}")]
    Invalid(String),
    /// The broker cannot be reached, does not answer in time, or cannot write.
    #[error("broker unavailable: {0}")]
    Unavailable(String),
    /// The other side does not speak this broker's language.
    #[error("not this broker's protocol: {0}")]
    Protocol(String),
}

#[cfg(any(feature = "nats", feature = "rabbitmq", feature = "redis"))]
impl Error {
    /// The server at this place does not let us in, as it says.
    pub(crate) fn stranger(place: &str, why: impl std::fmt::Display, scheme: &str) -> Self {
        let expected = format!(
            "expected a user and a password that it knows, {scheme}://USER:PASSWORD@HOST:PORT"
        );
        Self::Invalid(format!("{place}: {why}; {expected}"))
    }
}

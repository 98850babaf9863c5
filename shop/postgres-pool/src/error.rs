//! What can go wrong, by what it means for who asked.

use tokio_postgres::error::{DbError, Severity};

use crate::PASSWORD;

/// What was asked, or why it was not done.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done, or may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be reached, cannot do it now, or did not tell what became of it.
    #[error("{0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("{0}")]
    TimedOut(String),
    /// It is not what was asked for: it lets us not in, or would lose what it answers.
    #[error("{0}")]
    Unfit(String),
    /// It refused this statement; nothing was done.
    #[error("{0}")]
    Refused(String),
}

/// Classes of SQLSTATE under which it may be done another time: connections, rollbacks, resources, locks,
/// what an operator does, the machine.
const LATER: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
/// Not now either: a server that only reads, a database or a table that is not there yet.
const NOT_YET: [&str; 3] = ["25006", "3D000", "42P01"];
/// Who may come in.
const STRANGERS: &str = "28";
/// What the client says where it was not told all that it needs.
const UNCONFIGURED: &str = "invalid configuration";

impl Error {
    /// What the client met at this place.
    pub(crate) fn of(place: &str, error: &tokio_postgres::Error) -> Self {
        let Some(told) = error.as_db_error() else {
            let text = format!("{place}: {}", whole(error));
            // The client has not what the server asks for: a password.
            let lacks = error.to_string().starts_with(UNCONFIGURED);
            return if lacks { Self::stranger(&text) } else { Self::Unavailable(text) };
        };
        let code = told.code().code();
        let text = format!("{place}: {} ({code})", told.message());
        if code.starts_with(STRANGERS) {
            Self::stranger(&text)
        } else if LATER.iter().any(|class| code.starts_with(class)) || NOT_YET.contains(&code) {
            Self::Unavailable(text)
        } else {
            Self::Refused(text)
        }
    }

    fn stranger(text: &str) -> Self {
        Self::Unfit(format!(
            "{text}; expected postgres://USER@HOST:PORT/DATABASE with {PASSWORD} set to its password"
        ))
    }
}

/// Whether the server said it, and listens on.
pub(crate) fn is_answer(error: &tokio_postgres::Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    severity == Some(Severity::Error)
}

/// An error with its causes.
fn whole(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

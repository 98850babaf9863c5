//! What can go wrong, named by its meaning for the customer.

/// The result of a business operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a business operation was refused or could not be finished.
///
/// The first group is certain: nothing happened. After `Unavailable`, `TimedOut` and `Internal` the
/// operation may have had an effect; repeating it under the same key is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No valid proof of identity.
    #[error("not signed in: {0}")]
    Unauthenticated(String),
    /// Another account holds this address.
    #[error("this e-mail address already has an account")]
    EmailTaken,
    /// There is no such order, or it belongs to somebody else.
    #[error("no such order")]
    NotFound,
    /// The idempotency key belongs to a different order.
    #[error("this idempotency key was used for a different order")]
    KeyReused,
    /// The request breaks a rule of the business.
    #[error("{0}")]
    Invalid(String),
    /// Refused before anything was done, because a bound is reached; retry later.
    #[error("too busy: {0}")]
    Busy(String),
    /// Something the operation needs does not answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Something the operation needs did not answer in time.
    #[error("timed out: {0}")]
    TimedOut(String),
    /// A rule that should always hold does not.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// The same trouble, met after something was done already: what was certain no longer is.
    #[must_use]
    pub fn after_the_fact(self) -> Self {
        match self {
            Self::Unavailable(_) | Self::TimedOut(_) | Self::Internal(_) => self,
            certain => Self::Unavailable(certain.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_certain_after_the_fact() {
        let busy = Error::Busy("64 wait".to_owned()).after_the_fact();
        assert_eq!(busy, Error::Unavailable("too busy: 64 wait".to_owned()));
        assert_eq!(
            Error::KeyReused.after_the_fact(),
            Error::Unavailable(Error::KeyReused.to_string())
        );
        let late = Error::TimedOut("x".to_owned());
        assert_eq!(late.clone().after_the_fact(), late);
    }
}

//! What an error of the shop means for the message whose work met it.

use brokers::Trouble;
use shop::Error;

/// What an error of the shop says of its message: something is down or busy, the work itself failed,
/// or it never can be done.
pub(crate) fn trouble(error: Error) -> Trouble {
    let text = error.to_string();
    match error {
        Error::Busy(_) | Error::Unavailable(_) | Error::TimedOut(_) => Trouble::NotNow(text),
        Error::Internal(_) => Trouble::Failed(text),
        Error::Unauthenticated(_)
        | Error::EmailTaken
        | Error::NotFound
        | Error::KeyReused
        | Error::Invalid(_) => Trouble::Never(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: Error, expected: fn(String) -> Trouble) {
        let text = error.to_string();
        assert_eq!(trouble(error), expected(text));
    }

    #[test]
    fn what_is_down_or_busy_is_not_now_and_what_breaks_a_rule_is_never() {
        let text = || "x".to_owned();
        check(Error::Busy(text()), Trouble::NotNow);
        check(Error::Unavailable(text()), Trouble::NotNow);
        check(Error::TimedOut(text()), Trouble::NotNow);
        check(Error::Internal(text()), Trouble::Failed);
        check(Error::KeyReused, Trouble::Never);
        check(Error::NotFound, Trouble::Never);
    }
}

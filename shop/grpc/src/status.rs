//! Errors of the business as gRPC's codes, and back: the only place that knows both.

use shop::Error;
use tonic::{Code, Status};

/// What a caller is told.
pub(crate) fn status(error: &Error) -> Status {
    let (code, text) = match error {
        Error::Unauthenticated(text) => (Code::Unauthenticated, text.clone()),
        Error::Invalid(text) => (Code::InvalidArgument, text.clone()),
        Error::Busy(text) => (Code::ResourceExhausted, text.clone()),
        Error::Unavailable(text) => (Code::Unavailable, text.clone()),
        Error::TimedOut(text) => (Code::DeadlineExceeded, text.clone()),
        Error::NotFound => (Code::NotFound, error.to_string()),
        Error::KeyReused | Error::EmailTaken => (Code::AlreadyExists, error.to_string()),
        Error::Internal(text) => (Code::Internal, text.clone()),
    };
    Status::new(code, text)
}

/// What a status stands for. One that we never send is of whoever stands between.
pub(crate) fn error(status: &Status) -> Error {
    let text = format!("payments: {}", status.message());
    match status.code() {
        Code::Unauthenticated => Error::Unauthenticated(text),
        Code::InvalidArgument => Error::Invalid(text),
        Code::ResourceExhausted => Error::Busy(text),
        Code::DeadlineExceeded | Code::Cancelled => Error::TimedOut(text),
        Code::NotFound => Error::NotFound,
        Code::AlreadyExists => Error::KeyReused,
        Code::Internal | Code::DataLoss => Error::Internal(text),
        // A connection that broke is unknown: it may have been done.
        _ => Error::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_crosses_as_itself() {
        let text = || "why".to_owned();
        for told in [
            Error::Unauthenticated(text()),
            Error::Invalid(text()),
            Error::Busy(text()),
            Error::Unavailable(text()),
            Error::TimedOut(text()),
            Error::NotFound,
            Error::KeyReused,
            Error::Internal(text()),
        ] {
            let heard = error(&status(&told));
            assert_eq!(std::mem::discriminant(&heard), std::mem::discriminant(&told), "{heard}");
        }
        assert!(matches!(error(&Status::unknown("broken pipe")), Error::Unavailable(_)));
    }
}

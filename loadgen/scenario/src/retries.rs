//! Customers who ask again: the same key, the same body, a bounded number of times. It says when; the
//! engine does it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Scenario;
use crate::config::Span;
use record::{Outcome, Trouble};

/// More attempts are no customer but a loop.
const ATTEMPTS_MAX: u8 = 20;

/// How a customer asks again for an order that was not acknowledged. The defaults are those of a client
/// that pays by idempotency key as ours do: Stripe's libraries try twice more, after 0.5 s doubled up to
/// 5 s, of which they draw a half, and no sooner than Retry-After (stripe-python, `_http_client.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    /// Attempts of one order, the first included.
    pub attempts: u8,
    /// After what.
    pub after: Vec<After>,
    /// The pause before the first retry; each further one is twice as long.
    pub backoff: Span,
    /// The longest pause. A customer who is told to wait longer leaves.
    pub longest: Span,
    /// The part of a pause that is drawn, 0 to 1: evenly, from the scenario's seed.
    pub jitter: f64,
    /// Whether a pause is at least as long as an answer's Retry-After.
    pub retry_after: bool,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 3,
            after: vec![After::Unknown, After::Refused, After::Status(429), After::Status(503)],
            backoff: Span(std::time::Duration::from_millis(500)),
            longest: Span::secs(5),
            jitter: 0.5,
            retry_after: true,
        }
    }
}

/// What makes a customer ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It may have had an effect: a time-out, a reset, a 5xx, an answer that is not understood.
    Unknown,
    /// No connection was made: nothing was sent.
    Refused,
    /// An answer with this status.
    Status(u16),
}

impl After {
    /// Whether an attempt ended so.
    #[must_use]
    pub fn holds(self, outcome: Outcome, trouble: Trouble, status: u16) -> bool {
        let no_connection = [Trouble::Refused, Trouble::Connect, Trouble::ConnectTimeout];
        match self {
            Self::Unknown => outcome == Outcome::Unknown,
            Self::Refused => outcome == Outcome::Failed && no_connection.contains(&trouble),
            Self::Status(wanted) => wanted == status && outcome != Outcome::Ok,
        }
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Refused => f.write_str("refused"),
            Self::Status(status) => write!(f, "{status}"),
        }
    }
}

impl Serialize for After {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let status = text.parse().ok().filter(|status| (400..600).contains(status));
        match (text.as_str(), status) {
            ("unknown", _) => Ok(Self::Unknown),
            ("refused", _) => Ok(Self::Refused),
            (_, Some(status)) => Ok(Self::Status(status)),
            _ => Err(serde::de::Error::custom(format!(
                "retries after {text:?}: expected \"unknown\", \"refused\" or a status from \"400\" to \"599\""
            ))),
        }
    }
}

impl fmt::Display for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after: Vec<String> = self.after.iter().map(ToString::to_string).collect();
        let heeded = if self.retry_after { ", Retry-After heeded" } else { "" };
        write!(
            f,
            "{} attempts of an order, after {}; pauses of {} doubled up to {}, {:.0} % of each drawn{heeded}",
            self.attempts,
            after.join(", "),
            self.backoff,
            self.longest,
            self.jitter * 100.0
        )
    }
}

impl Scenario {
    /// How long a customer may be busy with one order: all attempts, and the pauses between them.
    #[must_use]
    pub fn order_s(&self) -> f64 {
        let timeout_s = self.limits.timeout.as_s();
        let of = |r: &Retries| {
            let pauses = f64::from(r.attempts.saturating_sub(1)) * r.longest.as_s();
            f64::from(r.attempts) * timeout_s + pauses
        };
        self.retries.as_ref().map_or(timeout_s, of)
    }

    pub(super) fn check_retries(&self) -> Result<(), String> {
        let Some(retries) = &self.retries else { return Ok(()) };
        if !(1..=ATTEMPTS_MAX).contains(&retries.attempts) {
            let found = retries.attempts;
            return Err(format!("retries.attempts is {found}; expected 1 to {ATTEMPTS_MAX}"));
        }
        if retries.after.is_empty() {
            return Err("retries.after is empty; leave retries out instead".to_owned());
        }
        if !(0.0..=1.0).contains(&retries.jitter) {
            return Err(format!("retries.jitter is {}; expected 0 to 1", retries.jitter));
        }
        if retries.backoff > retries.longest {
            return Err(format!(
                "retries.backoff is {}; expected retries.longest ({}) at most",
                retries.backoff, retries.longest
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn read(text: &str) -> Result<Retries, String> {
        config::parse(Path::new("s.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_is_as_the_default() {
        let one = read("attempts = 2\nafter = [\"unknown\", \"503\"]\njitter = 0.0").unwrap();
        assert_eq!(
            (one.attempts, one.after.len(), one.backoff),
            (2, 2, Retries::default().backoff)
        );
        assert_eq!(read("").unwrap(), Retries::default());
        assert!(read("after = [\"200\"]").unwrap_err().contains("a status from \"400\""));
        assert!(read("afterr = []").unwrap_err().contains("did you mean `after`"));
    }

    #[test]
    fn a_setting_is_told_in_one_line() {
        assert_eq!(
            Retries::default().to_string(),
            "3 attempts of an order, after unknown, refused, 429, 503; pauses of 500ms doubled up to \
             5s, 50 % of each drawn, Retry-After heeded"
        );
    }

    #[test]
    fn after_what_a_customer_asks_again() {
        use Outcome::{Failed, Ok, Unknown};
        let held = |after: After, outcome, trouble, status| after.holds(outcome, trouble, status);
        assert!(held(After::Unknown, Unknown, Trouble::Timeout, 0));
        assert!(!held(After::Unknown, Failed, Trouble::Refused, 0));
        assert!(held(After::Refused, Failed, Trouble::ConnectTimeout, 0));
        assert!(!held(After::Refused, Failed, Trouble::None, 422));
        assert!(held(After::Status(503), Failed, Trouble::None, 503));
        assert!(!held(After::Status(503), Ok, Trouble::None, 503));
        assert!(!held(After::Status(503), Unknown, Trouble::None, 500));
    }
}

//! How long, how often, how many.

use std::time::Duration;

use crate::{Error, Result};

/// What a broker promises in figures; the same for every topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a delivery belongs to its consumer unless extended. Default 10 s: what a customer
    /// waits when a consumer dies, and many times the work of one message.
    pub lease: Duration,
    /// How often a message may fail before it is a dead letter; what is deferred does not count. Default 8:
    /// enough to part a message from one that ends its consumer.
    pub attempts_max: u32,
    /// The wait before a message that failed is delivered again.
    pub backoff: Backoff,
    /// Messages a topic holds, dead letters apart. Default 100,000.
    pub depth_max: u64,
    /// Whether a server that answers before it has fsynced is refused. Default yes; no is for whoever
    /// measures what that saves, and loses.
    pub durable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            attempts_max: 8,
            backoff: Backoff::default(),
            depth_max: 100_000,
            durable: true,
        }
    }
}

impl Settings {
    /// From the query of a URL: `lease=10s&attempts=8&backoff=100ms&backoff-max=10s&depth-max=100000`;
    /// what is not named is as by default.
    ///
    /// # Errors
    /// `Invalid` for what is not understood.
    pub(crate) fn parse(query: &str) -> Result<Self> {
        let mut settings = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            settings.set(name, value).map_err(|why| Error::Invalid(format!("{name}: {why}")))?;
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) -> std::result::Result<(), String> {
        let number = |least: u64| {
            let number = value.parse().ok().filter(|number: &u64| *number >= least);
            number.ok_or_else(|| format!("expected a whole number from {least}, found {value:?}"))
        };
        match name {
            "lease" => self.lease = parse_span(value)?,
            "attempts" => self.attempts_max = u32::try_from(number(1)?).unwrap_or(u32::MAX),
            "backoff" => self.backoff.base = parse_span(value)?,
            "backoff-max" => self.backoff.max = parse_span(value)?,
            "depth-max" => self.depth_max = number(0)?,
            "durable" if value == "yes" => self.durable = true,
            "durable" if value == "no" => self.durable = false,
            "durable" => return Err(format!("expected yes or no, found {value:?}")),
            _ => {
                let known = "lease, attempts, backoff, backoff-max, depth-max, durable";
                return Err(format!("unknown; known are {known}"));
            }
        }
        Ok(())
    }

    /// For who compares processes.
    #[must_use]
    pub fn told(&self) -> http_server::Settings {
        http_server::Settings::default()
            .with("messages of a topic, at most", self.depth_max)
            .with("failures of a message, at most", self.attempts_max)
            .time("lease of a message", self.lease)
            .time("wait after a failure", self.backoff.base)
            .time("wait after a failure, at most", self.backoff.max)
    }
}

/// A span above zero: `10s` or `250ms`.
///
/// # Errors
/// What was expected.
pub fn parse_span(text: &str) -> std::result::Result<Duration, String> {
    let expected = || "expected a whole number of s or ms, such as 10s or 250ms".to_owned();
    let millis = |number: &str, unit: u64| number.parse::<u64>().ok()?.checked_mul(unit);
    let span = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => millis(number, 1),
        (None, Some(number)) => millis(number, 1_000),
        (None, None) => None,
    };
    span.filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(expected)
}

/// Exponential backoff with full jitter: uniform in [0, min(max, base · 2^(attempt−1))]
/// (M. Brooker, "Exponential Backoff And Jitter", 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first attempt. Default 100 ms.
    pub base: Duration,
    /// The longest wait after any attempt. Default 10 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(100), max: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// A random wait after this many attempts (the first is 1).
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        rand::random_range(Duration::ZERO..=self.ceiling(attempt))
    }

    fn ceiling(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.base.saturating_mul(doubled).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attempt: u32, ceiling_ms: u64) {
        let backoff =
            Backoff { base: Duration::from_millis(100), max: Duration::from_millis(1_500) };
        assert_eq!(backoff.ceiling(attempt), Duration::from_millis(ceiling_ms));
        assert!((0..50).all(|_| backoff.delay(attempt) <= backoff.ceiling(attempt)));
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        check(0, 100);
        check(1, 100);
        check(2, 200);
        check(4, 800);
        check(5, 1_500);
        check(u32::MAX, 1_500);
    }

    #[test]
    fn the_jitter_is_full() {
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(1) };
        let low = (0..200).filter(|_| backoff.delay(1) < Duration::from_millis(500)).count();
        assert!((40..160).contains(&low), "{low} of 200 in the lower half");
    }

    #[test]
    fn spans() {
        assert_eq!(parse_span("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_span("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "10", "0s", "-1s", "1.5s", "s", "99999999999999999999s"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_query_sets_what_it_names_and_nothing_that_is_unknown() {
        let all = "lease=4s&attempts=3&backoff=50ms&backoff-max=1s&depth-max=9";
        let settings = Settings::parse(all).unwrap();
        let backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };
        let lease = Duration::from_secs(4);
        assert_eq!(
            settings,
            Settings { lease, attempts_max: 3, backoff, depth_max: 9, durable: true }
        );
        assert_eq!(Settings::parse(""), Ok(Settings::default()));
        for (wrong, why) in [
            ("leese=4s", "leese: unknown; known are lease, "),
            ("lease=4", "lease: expected a whole number of s or ms"),
            ("attempts=0", "attempts: expected a whole number from 1, found \"0\""),
            ("depth-max=many", "depth-max: expected a whole number from 0"),
        ] {
            let refused = Settings::parse(wrong).unwrap_err().to_string();
            assert!(refused.contains(why), "{wrong}: {refused}");
        }
    }
}

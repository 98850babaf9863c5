//! How the network behaves, and how that is changed: all of a change or none of it.

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize};

use crate::latency::Latency;

/// More charges at once than this are no counter.
pub(crate) const AT_ONCE_MAX: u32 = 10_000;

/// What a repeated key gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Its first result, like Stripe's idempotency keys.
    Dedupe,
    /// Another charge.
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Settings {
    pub(crate) latency: Latency,
    pub(crate) decline_rate: f64,
    pub(crate) error_rate: f64,
    pub(crate) mode: Mode,
    /// Charges taken per second; 0 takes none, nothing takes all.
    pub(crate) rate_limit: Option<u32>,
    /// Charges worked on at once, each for the latency that it met when it came; nothing works on all.
    pub(crate) at_once: Option<u32>,
    /// Charges that may wait for that; nothing lets all wait.
    pub(crate) queue: Option<u32>,
    /// Share of decided charges whose answer is lost on the way.
    pub(crate) lost_answers: f64,
}

/// The fields to change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    latency: Option<Latency>,
    decline_rate: Option<f64>,
    error_rate: Option<f64>,
    mode: Option<Mode>,
    /// Absent leaves the limit, null takes it away.
    #[serde(default, deserialize_with = "given")]
    rate_limit: Option<Option<u32>>,
    /// As above.
    #[serde(default, deserialize_with = "given")]
    at_once: Option<Option<u32>>,
    /// As above.
    #[serde(default, deserialize_with = "given")]
    queue: Option<Option<u32>>,
    lost_answers: Option<f64>,
}

impl Change {
    /// The settings with this change, or why there is no such setting.
    pub(crate) fn on(self, old: Settings) -> Result<Settings, String> {
        let new = Settings {
            latency: self.latency.unwrap_or(old.latency),
            decline_rate: self.decline_rate.unwrap_or(old.decline_rate),
            error_rate: self.error_rate.unwrap_or(old.error_rate),
            mode: self.mode.unwrap_or(old.mode),
            rate_limit: self.rate_limit.unwrap_or(old.rate_limit),
            at_once: self.at_once.unwrap_or(old.at_once),
            queue: self.queue.unwrap_or(old.queue),
            lost_answers: self.lost_answers.unwrap_or(old.lost_answers),
        };
        new.latency.check()?;
        is_rate(new.decline_rate).map_err(|e| format!("decline_rate: {e}"))?;
        is_rate(new.error_rate).map_err(|e| format!("error_rate: {e}"))?;
        is_rate(new.lost_answers).map_err(|e| format!("lost_answers: {e}"))?;
        match (new.at_once, new.queue) {
            (Some(at_once), _) if !(1..=AT_ONCE_MAX).contains(&at_once) => {
                Err(format!("at_once: expected 1 to {AT_ONCE_MAX}, found {at_once}"))
            }
            (None, Some(_)) => Err("queue: nobody waits without at_once".to_owned()),
            _ => Ok(new),
        }
    }
}

/// Tells null from a missing field.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A share, from 0 to 1.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let value = text.parse().map_err(|_| format!("expected a number from 0 to 1, found {text}"))?;
    is_rate(value).map(|()| value)
}

fn is_rate(value: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(format!("expected a number from 0 to 1, found {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Settings = Settings {
        latency: Latency::Constant { ms: 20.0 },
        decline_rate: 0.02,
        error_rate: 0.0,
        mode: Mode::Dedupe,
        rate_limit: Some(100),
        at_once: None,
        queue: None,
        lost_answers: 0.0,
    };

    #[track_caller]
    fn check(change: &str, expected: Result<Settings, &str>) {
        let change = serde_json::from_str::<Change>(change).map_err(|e| e.to_string());
        match (change.and_then(|c| c.on(OLD)), expected) {
            (Ok(new), Ok(wanted)) => assert_eq!(new, wanted),
            (Err(text), Err(part)) => assert!(text.contains(part), "{text}"),
            (result, expected) => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_change_names_some_fields_and_only_legal_values() {
        check("{}", Ok(OLD));
        check(r#"{"mode":"raw"}"#, Ok(Settings { mode: Mode::Raw, ..OLD }));
        check(r#"{"error_rate":1}"#, Ok(Settings { error_rate: 1.0, ..OLD }));
        let latency = Latency::Lognormal { median_ms: 20.0, p99_ms: 80.0 };
        let json = r#"{"latency":{"kind":"lognormal","median_ms":20,"p99_ms":80}}"#;
        check(json, Ok(Settings { latency, ..OLD }));
        check(r#"{"error_rate":1.1}"#, Err("error_rate: expected a number from 0 to 1"));
        check(r#"{"decline_rate":-0.1}"#, Err("decline_rate"));
        check(r#"{"latency":{"kind":"constant","ms":-1}}"#, Err("latency"));
        check(r#"{"latency":{"kind":"constant","ms":1,"p99":2}}"#, Err("unknown field"));
        check(r#"{"rate_limit":0}"#, Ok(Settings { rate_limit: Some(0), ..OLD }));
        check(r#"{"rate_limit":null}"#, Ok(Settings { rate_limit: None, ..OLD }));
        check(r#"{"rate_limit":-1}"#, Err("invalid value"));
        let counter = Settings { at_once: Some(4), queue: Some(256), ..OLD };
        check(r#"{"at_once":4,"queue":256}"#, Ok(counter));
        check(r#"{"at_once":null,"queue":null}"#, Ok(OLD));
        check(r#"{"at_once":0}"#, Err("at_once: expected 1 to 10000, found 0"));
        check(r#"{"queue":9}"#, Err("queue: nobody waits without at_once"));
        check(r#"{"lost_answers":0.5}"#, Ok(Settings { lost_answers: 0.5, ..OLD }));
        check(r#"{"lost_answers":2}"#, Err("lost_answers: expected a number from 0 to 1"));
        check(r#"{"seed":2}"#, Err("unknown field"));
    }
}

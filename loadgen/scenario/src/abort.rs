//! `[[abort]]`: what ends a trial early. Who looks out for it stands elsewhere.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Condition, Quantity, Series};
use crate::config::Span;
use crate::operation;
use record::Operation;

/// Bounds the memory of a window: one histogram of 13 KiB per second.
const OVER_MAX_S: u32 = 300;

/// One condition of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// What ends the trial when it holds: `failed > 50%`, `p(99) > 3s`.
    #[serde(deserialize_with = "known_live")]
    pub when: Condition,
    /// The length of the window, whole seconds.
    #[serde(default = "default_over", deserialize_with = "whole_seconds")]
    pub over: Span,
    /// Of which operation; without it, of all together.
    #[serde(
        default,
        deserialize_with = "operation::read",
        skip_serializing_if = "Option::is_none"
    )]
    pub operation: Option<Operation>,
}

fn default_over() -> Span {
    Span::secs(10)
}

fn known_live<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Condition, D::Error> {
    let when = Condition::deserialize(deserializer)?;
    match when.quantity() {
        Quantity::Failed => Ok(when),
        Quantity::Time(series, _) if *series != Series::Completed => Ok(when),
        Quantity::Time(..) | Quantity::Goodput | Quantity::Class(_) | Quantity::Drift => {
            Err(serde::de::Error::custom(format!(
                "the condition {:?} is not known while the load runs; expected failed, or p(N) or max of response, accepted, service or lag",
                when.to_string()
            )))
        }
    }
}

fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let over = Span::deserialize(deserializer)?;
    if over.whole_s().is_some_and(|s| (1..=OVER_MAX_S).contains(&s)) {
        return Ok(over);
    }
    let text = format!("over is {over}; expected whole seconds, 1 to {OVER_MAX_S}");
    Err(serde::de::Error::custom(text))
}

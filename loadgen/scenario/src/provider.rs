//! How the card network behaves, as scenarios say it and as its control endpoint takes it.

use serde::{Deserialize, Serialize};

use crate::config::Span;

/// How the card network behaves; given to it before the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// `constant:20ms`, `exponential:20ms` or `lognormal:20ms,80ms` (median, p99).
    pub latency: Latency,
    /// Share of cards that are refused.
    pub decline_rate: f64,
    /// Share of calls answered with an error before anything is captured.
    pub error_rate: f64,
    /// Whether a repeated key is charged again.
    pub mode: ProviderMode,
    /// Charges taken per second; more are answered 429 and have no effect. 0 takes none.
    pub rate_limit: Option<u32>,
    /// Charges worked on at once, each for its latency; the others wait in a line, first come, first served, whether
    /// their clients still wait or not. Without it all are worked on.
    pub at_once: Option<u32>,
    /// Charges that may wait in that line; more are answered 429 and have no effect.
    pub queue: Option<u32>,
    /// Share of decided (and journaled) charges whose connection is closed instead of answered.
    pub lost_answers: f64,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            latency: Latency::Lognormal { median_ms: 20.0, p99_ms: 80.0 },
            decline_rate: 0.02,
            error_rate: 0.0,
            mode: ProviderMode::Dedupe,
            rate_limit: None,
            at_once: None,
            queue: None,
            lost_answers: 0.0,
        }
    }
}

/// Whether the card network knows repeated keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderMode {
    /// Same key, same result.
    Dedupe,
    /// Charges again.
    Raw,
}

/// A latency distribution, as the provider's control endpoint takes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Latency {
    /// Always the same.
    Constant {
        /// That.
        ms: f64,
    },
    /// Memoryless.
    Exponential {
        /// Its mean.
        mean_ms: f64,
    },
    /// A long tail.
    Lognormal {
        /// Half are below.
        median_ms: f64,
        /// 99 of 100 are below.
        p99_ms: f64,
    },
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_latency(&text).map_err(serde::de::Error::custom)
    }
}

fn parse_latency(text: &str) -> Result<Latency, String> {
    let wrong = || {
        format!(
            "the latency {text:?} is not of the form constant:20ms, exponential:20ms or lognormal:20ms,80ms"
        )
    };
    let (kind, values) = text.split_once(':').ok_or_else(wrong)?;
    let values: Vec<f64> = values
        .split(',')
        .map(|v| v.trim().parse::<Span>().map(|s| s.as_s() * 1e3))
        .collect::<Result<_, _>>()?;
    match (kind, values.as_slice()) {
        ("constant", [ms]) => Ok(Latency::Constant { ms: *ms }),
        ("exponential", [mean_ms]) => Ok(Latency::Exponential { mean_ms: *mean_ms }),
        ("lognormal", [median_ms, p99_ms]) if median_ms < p99_ms && *median_ms > 0.0 => {
            Ok(Latency::Lognormal { median_ms: *median_ms, p99_ms: *p99_ms })
        }
        _ => Err(wrong()),
    }
}

//! How long a charge takes.

use std::str::FromStr;
use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, Exp, LogNormal};
use serde::{Deserialize, Serialize};

/// The 99th percentile of the standard normal distribution.
const Z_99: f64 = 2.326_347_874_040_841;
/// No draw is longer: an exponential tail has no end, a trial has.
const LONGEST_MS: f64 = 60_000.0;

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Latency {
    /// Always the same.
    Constant { ms: f64 },
    /// Memoryless, with this mean.
    Exponential { mean_ms: f64 },
    /// The logarithm is normal: mean ln(median), deviation ln(p99 / median) / 2.326.
    Lognormal { median_ms: f64, p99_ms: f64 },
}

impl Latency {
    /// One draw.
    pub(crate) fn draw(&self, random: &mut impl Rng) -> Duration {
        let ms = match *self {
            Self::Constant { ms } => ms,
            Self::Exponential { mean_ms } => {
                Exp::new(1.0 / mean_ms).map_or(mean_ms, |d| d.sample(random))
            }
            Self::Lognormal { median_ms, p99_ms } => {
                let deviation = (p99_ms / median_ms).ln() / Z_99;
                LogNormal::new(median_ms.ln(), deviation).map_or(median_ms, |d| d.sample(random))
            }
        };
        Duration::from_secs_f64(ms.clamp(0.0, LONGEST_MS) / 1_000.0)
    }

    /// Whether there is such a distribution.
    pub(crate) fn check(&self) -> Result<(), String> {
        let legal = |ms: f64, least: f64| ms >= least && ms <= LONGEST_MS;
        let rule = match *self {
            Self::Constant { ms } if !legal(ms, 0.0) => "the time is 0 to 60 s",
            Self::Exponential { mean_ms } if !legal(mean_ms, 0.001) => "the mean is 1 us to 60 s",
            Self::Lognormal { median_ms, p99_ms }
                if !(legal(median_ms, 0.001) && legal(p99_ms, median_ms)) =>
            {
                "the median is 1 us to 60 s, the 99th percentile as long or longer"
            }
            Self::Constant { .. } | Self::Exponential { .. } | Self::Lognormal { .. } => {
                return Ok(());
            }
        };
        Err(format!("latency: {rule}"))
    }
}

impl FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            let forms = "constant:20ms, exponential:20ms or lognormal:20ms,80ms";
            format!("expected {forms}, found {text}")
        };
        let (kind, times) = text.split_once(':').ok_or_else(error)?;
        let times = times.split(',').map(milliseconds).collect::<Option<Vec<_>>>();
        let latency = match (kind, times.ok_or_else(error)?.as_slice()) {
            ("constant", &[ms]) => Self::Constant { ms },
            ("exponential", &[mean_ms]) => Self::Exponential { mean_ms },
            ("lognormal", &[median_ms, p99_ms]) => Self::Lognormal { median_ms, p99_ms },
            _ => return Err(error()),
        };
        latency.check().map(|()| latency)
    }
}

fn milliseconds(text: &str) -> Option<f64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let ms_per_unit = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1_000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * ms_per_unit)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Latency>) {
        assert_eq!(text.parse::<Latency>().ok(), expected, "{text}");
    }

    #[test]
    fn forms() {
        check("constant:20ms", Some(Latency::Constant { ms: 20.0 }));
        check("constant:0ms", Some(Latency::Constant { ms: 0.0 }));
        check("exponential:1.5s", Some(Latency::Exponential { mean_ms: 1_500.0 }));
        check("lognormal:500us,80ms", Some(Latency::Lognormal { median_ms: 0.5, p99_ms: 80.0 }));
        for wrong in [
            "20ms",
            "constant:20",
            "constant:-1ms",
            "constant:1h",
            "constant:61s",
            "constant:NaNms",
            "exponential:0ms",
            "lognormal:20ms",
            "lognormal:80ms,20ms",
            "constant:1ms,2ms",
            "",
        ] {
            check(wrong, None);
        }
    }

    /// The quantiles of 20,000 seeded draws, in milliseconds.
    fn quantiles(latency: Latency, at: [f64; 2]) -> [f64; 2] {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut ms: Vec<f64> =
            (0..20_000).map(|_| latency.draw(&mut random).as_secs_f64() * 1_000.0).collect();
        ms.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        at.map(|q| ms[(q * 20_000.0) as usize])
    }

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found / wanted - 1.0).abs() < 0.05, "{found} instead of {wanted}");
    }

    #[test]
    fn draws_have_the_quantiles_of_their_distribution() {
        let [median, p99] =
            quantiles(Latency::Lognormal { median_ms: 20.0, p99_ms: 80.0 }, [0.5, 0.99]);
        near(median, 20.0);
        near(p99, 80.0);
        // The quantile q of an exponential distribution is -mean ln(1 - q).
        let [median, p99] = quantiles(Latency::Exponential { mean_ms: 20.0 }, [0.5, 0.99]);
        near(median, 20.0 * 0.5_f64.ln().abs());
        near(p99, 20.0 * 0.01_f64.ln().abs());
        assert_eq!(quantiles(Latency::Constant { ms: 7.0 }, [0.0, 0.999]), [7.0, 7.0]);
    }
}

//! `latency.hlog`: HdrHistogram intervals, tagged operation.outcome.metric.

use std::fmt;
use std::str::FromStr;

use hdrhistogram::Histogram;

/// Values are microseconds, 1 µs to 1 h, three digits.
pub const MAX_US: u64 = 3_600_000_000;

/// An empty histogram of the record's range and precision.
///
/// # Errors
/// Never for these constants; the crate's constructor is fallible.
pub fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, MAX_US, 3)?)
}

/// What a histogram measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Done minus intended.
    Response,
    /// Done minus sent.
    Service,
    /// Sent minus intended.
    Lag,
    /// Final state minus intended (orders that were acknowledged).
    Completed,
}

/// The label of one interval histogram.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// signup, login, place, get.
    pub operation: String,
    /// ok, failed, unknown, unfinished (its times are "at least").
    pub outcome: String,
    /// What it measures.
    pub metric: Metric,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::Lag => "lag",
            Self::Completed => "completed",
        })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.operation, self.outcome, self.metric)
    }
}

impl FromStr for Tag {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let (Some(operation), Some(outcome), Some(metric), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            anyhow::bail!("the tag is {text:?}, expected operation.outcome.metric");
        };
        let metric = match metric {
            "response" => Metric::Response,
            "service" => Metric::Service,
            "lag" => Metric::Lag,
            "completed" => Metric::Completed,
            other => anyhow::bail!(
                "the metric is {other:?}, expected response, service, lag or completed"
            ),
        };
        Ok(Self { operation: operation.to_owned(), outcome: outcome.to_owned(), metric })
    }
}

//! `latency.hlog`: HdrHistogram intervals, tagged operation.outcome.metric.

use std::fmt;
use std::str::FromStr;

use anyhow::Context as _;
use hdrhistogram::Histogram;

use super::{Operation, Outcome};

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
    /// Response times of those that the measuring machine may have lengthened, as measured.
    ResponseTouched,
    /// The same, as short as they may have been.
    ResponseLeast,
    /// As [`Self::ResponseTouched`], to the final state.
    CompletedTouched,
    /// As [`Self::ResponseLeast`], to the final state.
    CompletedLeast,
}

/// With their words.
const METRICS: [(Metric, &str); 8] = [
    (Metric::Response, "response"),
    (Metric::Service, "service"),
    (Metric::Lag, "lag"),
    (Metric::Completed, "completed"),
    (Metric::ResponseTouched, "response_touched"),
    (Metric::ResponseLeast, "response_least"),
    (Metric::CompletedTouched, "completed_touched"),
    (Metric::CompletedLeast, "completed_least"),
];

impl Metric {
    /// Where its values that may be too long stand, and where they stand as short as they may have been;
    /// `None` of what the measuring machine does not lengthen, or is about.
    #[must_use]
    pub fn touched(self) -> Option<(Self, Self)> {
        match self {
            Self::Response => Some((Self::ResponseTouched, Self::ResponseLeast)),
            Self::Completed => Some((Self::CompletedTouched, Self::CompletedLeast)),
            Self::Service
            | Self::Lag
            | Self::ResponseTouched
            | Self::ResponseLeast
            | Self::CompletedTouched
            | Self::CompletedLeast => None,
        }
    }
}

/// The label of one interval histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// Whose times.
    pub operation: Operation,
    /// How they ended; of unfinished ones times are "at least".
    pub outcome: Outcome,
    /// What it measures.
    pub metric: Metric,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = METRICS.iter().find(|(metric, _)| metric == self);
        f.write_str(word.map_or("", |(_, word)| word))
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
        let known = METRICS.iter().find(|(_, word)| *word == metric);
        let (metric, _) = known.with_context(|| {
            let words: Vec<&str> = METRICS.iter().map(|(_, word)| *word).collect();
            format!("the metric is {metric:?}, expected one of {}", words.join(", "))
        })?;
        Ok(Self { operation: operation.parse()?, outcome: outcome.parse()?, metric: *metric })
    }
}

//! A histogram's non-empty values, small enough to keep for every trial, phase and outcome.

use hdrhistogram::Histogram;

/// The chance that the true quantile lies above every sample, beyond which none is given: the upper
/// half of a two-sided 95 % interval.
const ABOVE_ALL: f64 = 0.025;

/// Values in µs with their counts, ascending. Merging loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spectrum {
    bins: Vec<(u64, u64)>,
    count: u64,
}

impl Spectrum {
    /// The recorded values of `histogram`, each as the highest that its bin stands for.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let bins: Vec<_> = histogram
            .iter_recorded()
            .map(|bin| (bin.value_iterated_to(), bin.count_at_value()))
            .collect();
        Self { count: bins.iter().map(|bin| bin.1).sum(), bins }
    }

    /// Values in µs with their counts, ascending.
    #[must_use]
    pub fn bins(&self) -> &[(u64, u64)] {
        &self.bins
    }

    /// How many samples.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many samples are at most `value_us`.
    #[must_use]
    pub fn count_up_to(&self, value_us: u64) -> u64 {
        let end = self.bins.partition_point(|bin| bin.0 <= value_us);
        self.bins[..end].iter().map(|bin| bin.1).sum()
    }

    /// The smallest sample, µs.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        self.bins.first().map(|bin| bin.0)
    }

    /// The largest sample, µs.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.bins.last().map(|bin| bin.0)
    }

    /// The value at quantile `q`, µs, or `None` if there are fewer than [`Self::least`] samples.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        if self.count < Self::least(q) {
            return None;
        }
        self.at_rank(rank(q, self.count))
    }

    /// The value at quantile `q` of these samples and `endless` more that are longer than any, µs:
    /// `None` if it is one of those, or if there are too few of both.
    #[must_use]
    pub fn quantile_with_endless(&self, q: f64, endless: u64) -> Option<u64> {
        let all = self.count + endless;
        if all < Self::least(q) {
            return None;
        }
        self.at_rank(rank(q, all))
    }

    /// The `rank`-th smallest sample, from 1, µs.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        let bin = self.bins.iter().find(|bin| {
            seen += bin.1;
            seen >= rank
        });
        bin.map(|bin| bin.0)
    }

    /// The fewest samples from which a two-sided 95 % interval of quantile `q` has an upper end:
    /// q^n ≤ 0.025, so 6 for p50, 36 for p90, 368 for p99, 3688 for p99.9.
    #[must_use]
    pub fn least(q: f64) -> u64 {
        (ABOVE_ALL.ln() / q.ln()).ceil().max(1.0) as u64
    }

    /// This without `part`, which is a part of it.
    #[must_use]
    pub fn without(mut self, part: &Self) -> Self {
        let mut taken = part.bins.iter().peekable();
        for bin in &mut self.bins {
            while taken.next_if(|other| other.0 < bin.0).is_some() {}
            if let Some(other) = taken.next_if(|other| other.0 == bin.0) {
                bin.1 = bin.1.saturating_sub(other.1);
            }
        }
        self.bins.retain(|bin| bin.1 > 0);
        self.count = self.bins.iter().map(|bin| bin.1).sum();
        self
    }

    /// This and `other` together.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        self.bins.extend_from_slice(&other.bins);
        self.bins.sort_unstable_by_key(|bin| bin.0);
        self.bins.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        self.count += other.count;
        self
    }
}

/// Which of `count` samples, from 1, has the share `q` up to it. A product that the last binary digit
/// has lifted above a whole number is that number.
pub fn rank(q: f64, count: u64) -> u64 {
    const ROUNDING: f64 = 1e-12;
    let count = count as f64;
    ((q * count - ROUNDING * count).ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::histogram;

    fn spectrum(values: &[u64]) -> Spectrum {
        let mut all = histogram().unwrap();
        for value in values {
            all.record(*value).unwrap();
        }
        Spectrum::of(&all)
    }

    #[test]
    fn the_least_samples_are_those_of_a_two_sided_interval() {
        let least = [0.5, 0.9, 0.99, 0.999].map(Spectrum::least);
        assert_eq!(least, [6, 36, 368, 3688]);
    }

    #[test]
    fn a_percentile_of_too_few_samples_is_withheld() {
        let values: Vec<u64> = (1..=367).collect();
        assert_eq!(spectrum(&values).quantile(0.99), None);
        let values: Vec<u64> = (1..=368).collect();
        assert_eq!(spectrum(&values).quantile(0.99), Some(365));
        assert_eq!(spectrum(&values).quantile(0.5), Some(184));
    }

    #[test]
    fn a_rank_is_not_lifted_by_rounding() {
        assert_eq!(rank(0.1 + 0.1 + 0.1, 3_000), 900);
        assert_eq!([rank(0.0, 5), rank(0.5, 5), rank(0.99, 100), rank(1.0, 7)], [1, 3, 99, 7]);
    }

    #[test]
    fn merging_is_as_if_all_had_been_recorded_in_one() {
        let left = spectrum(&[5, 5, 9, 2000]);
        let right = spectrum(&[1, 5, 9, 70_000]);
        assert_eq!(left.merged(&right), spectrum(&[5, 5, 9, 2000, 1, 5, 9, 70_000]));
    }

    #[test]
    fn a_part_can_be_taken_out_again() {
        let all = spectrum(&[5, 5, 9, 2000, 70_000]);
        let rest = all.without(&spectrum(&[5, 2000]));
        assert_eq!(rest, spectrum(&[5, 9, 70_000]));
        assert_eq!(rest.without(&spectrum(&[1, 5, 6, 90_000])), spectrum(&[9, 70_000]));
    }

    #[test]
    fn counts_include_the_bound() {
        let some = spectrum(&[10, 20, 30]);
        assert_eq!([9, 10, 25, 30].map(|bound| some.count_up_to(bound)), [0, 1, 2, 3]);
    }
}

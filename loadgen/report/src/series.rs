//! Values over time, where an absent value is a gap and never zero.

use std::collections::BTreeMap;

use record::TimelineRow;
use record::read::Trial;

use super::interactive::Fold;

/// A value per interval; intervals without a value are absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    interval_s: u32,
    values: BTreeMap<u32, f64>,
}

impl Series {
    /// One value per row of the trial's main operation.
    pub(super) fn of(trial: &Trial, value: impl Fn(&TimelineRow) -> Option<f64>) -> Self {
        let operation = trial.main_operation();
        let rows = trial.timeline.iter().filter(|row| row.operation == operation);
        let values = rows.filter_map(|row| Some((row.t_s, value(row)?))).collect();
        Self { interval_s: trial.manifest.interval_s.max(1), values }
    }

    /// The values of `trial` at these seconds.
    pub(super) fn at(trial: &Trial, values: impl Iterator<Item = (u32, f64)>) -> Self {
        Self { interval_s: trial.manifest.interval_s.max(1), values: values.collect() }
    }

    /// The sum over all operations.
    pub(super) fn sum(trial: &Trial, value: impl Fn(&TimelineRow) -> f64) -> Self {
        let mut values = BTreeMap::new();
        for row in &trial.timeline {
            *values.entry(row.t_s).or_insert(0.0) += value(row);
        }
        Self { interval_s: trial.manifest.interval_s.max(1), values }
    }

    /// At each instant the median of those that have a value; a gap where less than half have one.
    pub(super) fn median(all: &[Self]) -> Self {
        let mut by_instant: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for (at_s, value) in all.iter().flat_map(|series| &series.values) {
            by_instant.entry(*at_s).or_default().push(*value);
        }
        let enough = |values: &Vec<f64>| values.len() * 2 >= all.len();
        let middle = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
        };
        Self {
            interval_s: all.first().map_or(1, |series| series.interval_s),
            values: by_instant
                .into_iter()
                .filter(|(_, values)| enough(values))
                .map(|(at_s, values)| (at_s, middle(values)))
                .collect(),
        }
    }

    /// At each instant the mean over all, where one without a value counts as 0: parts of a whole stay
    /// its parts, which medians would not.
    pub(super) fn mean(all: &[Self]) -> Self {
        let mut values = BTreeMap::new();
        for (at_s, value) in all.iter().flat_map(|series| &series.values) {
            *values.entry(*at_s).or_insert(0.0) += value / all.len() as f64;
        }
        Self { interval_s: all.first().map_or(1, |series| series.interval_s), values }
    }

    /// One value for the `step` seconds from `from_s` on; `None` if there is none in them.
    pub(super) fn folded(&self, from_s: u32, step: u32, fold: Fold) -> Option<f64> {
        let inside =
            self.values.range(from_s..from_s.saturating_add(step)).map(|(_, value)| *value);
        let (count, sum, largest) = inside
            .fold((0, 0.0, f64::NEG_INFINITY), |(n, sum, most), v| {
                (n + 1, sum + v, f64::max(most, v))
            });
        let folded = match fold {
            Fold::Mean => sum / f64::from(count),
            Fold::Largest => largest,
        };
        (count > 0).then_some(folded)
    }

    /// The same per second instead of per interval.
    pub(super) fn per_second(mut self) -> Self {
        let interval_s = f64::from(self.interval_s);
        self.values.values_mut().for_each(|value| *value /= interval_s);
        self
    }

    /// The length of an interval, seconds.
    pub(super) fn interval_s(&self) -> u32 {
        self.interval_s
    }

    /// All values.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.values.values().copied()
    }

    /// The largest value; 0 without values.
    pub(super) fn max(&self) -> f64 {
        self.values().fold(0.0, f64::max)
    }

    /// The unbroken parts, each value at the middle of its interval.
    pub(super) fn parts(&self) -> Vec<Vec<(f64, f64)>> {
        let points: Vec<_> = self.values.iter().collect();
        let unbroken = |a: &(&u32, &f64), b: &(&u32, &f64)| b.0 - a.0 <= self.interval_s;
        let middle = f64::from(self.interval_s) / 2.0;
        points
            .chunk_by(unbroken)
            .map(|part| {
                part.iter().map(|(at, value)| (f64::from(**at) + middle, **value)).collect()
            })
            .collect()
    }

    /// Instants and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, f64)> {
        self.values.iter().map(|(at_s, value)| (*at_s, *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[(u32, f64)]) -> Series {
        Series { interval_s: 1, values: values.iter().copied().collect() }
    }

    #[test]
    fn a_missing_second_breaks_the_line() {
        let parts = series(&[(0, 1.0), (1, 2.0), (4, 3.0)]).parts();
        assert_eq!(parts, [vec![(0.5, 1.0), (1.5, 2.0)], vec![(4.5, 3.0)]]);
    }

    #[test]
    fn values_that_share_a_point_are_folded_and_none_is_none() {
        let values = series(&[(0, 1.0), (1, 5.0), (4, 2.0)]);
        let at = |from, fold| values.folded(from, 2, fold);
        assert_eq!([at(0, Fold::Mean), at(0, Fold::Largest)], [Some(3.0), Some(5.0)]);
        assert_eq!([at(2, Fold::Mean), at(4, Fold::Largest)], [None, Some(2.0)]);
    }

    #[test]
    fn means_of_parts_add_up_to_the_mean_of_the_whole() {
        let (ok, failed) =
            ([series(&[(0, 9.0)]), series(&[(0, 4.0)])], [series(&[(0, 1.0)]), series(&[])]);
        let [ok, failed] = [ok, failed].map(|trials| Series::mean(&trials).max());
        assert_eq!((ok, failed), (6.5, 0.5));
    }

    #[test]
    fn a_median_needs_half_of_the_trials() {
        let all = [series(&[(0, 1.0), (1, 5.0)]), series(&[(0, 3.0)]), series(&[(0, 9.0)])];
        assert_eq!(Series::median(&all), series(&[(0, 3.0)]));
    }
}

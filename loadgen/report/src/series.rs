//! Values over time, where an absent value is a gap and never zero.

use std::collections::BTreeMap;

use record::TimelineRow;
use record::read::Trial;

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
    fn a_median_needs_half_of_the_trials() {
        let all = [series(&[(0, 1.0), (1, 5.0)]), series(&[(0, 3.0)]), series(&[(0, 9.0)])];
        assert_eq!(Series::median(&all), series(&[(0, 3.0)]));
    }
}

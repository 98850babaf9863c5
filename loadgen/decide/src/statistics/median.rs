//! The median of a few values, and between which of them it lies: by places in the order, whatever law they follow.

use super::sign::at_least_heads;
use crate::Figure;

/// Between which values the median lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The chance with which such an interval holds the median, by the binomial law.
    pub coverage: f64,
}

/// The median of measured values; `None` of none.
#[must_use]
pub fn median(values: &[Figure]) -> Option<f64> {
    let sorted = sorted(values, |figure| figure.value);
    let (upper, lower) =
        (sorted.get(sorted.len() / 2)?, sorted.get(sorted.len().checked_sub(1)? / 2)?);
    // Of two infinite ones the middle is no number.
    Some(if upper == lower { *upper } else { f64::midpoint(*lower, *upper) })
}

/// The narrowest pair of order statistics that holds the median with `coverage` at least: of the lower ends and of the
/// upper ones, so that doubt widens it. `None` of too few values: 95 % needs six, 90 % five.
///
/// The k-th least and the k-th greatest of n hold the median unless fewer than k of n throws of a coin are heads, or
/// fewer than k tails (David and Nagaraja, Order Statistics, 7.1).
#[must_use]
pub fn median_interval(values: &[Figure], coverage: f64) -> Option<Interval> {
    let n = values.len();
    let covers = |k: usize| 1.0 - 2.0 * at_least_heads(n, n + 1 - k);
    let k = (1..=n / 2).take_while(|k| covers(*k) >= coverage).last()?;
    let (least, most) =
        (sorted(values, |figure| figure.least), sorted(values, |figure| figure.most));
    Some(Interval { low: least[k - 1], high: most[n - k], coverage: covers(k) })
}

fn sorted(values: &[Figure], end: fn(&Figure) -> f64) -> Vec<f64> {
    let mut ends: Vec<f64> = values.iter().map(end).collect();
    ends.sort_by(f64::total_cmp);
    ends
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn figures(values: &[f64]) -> Vec<Figure> {
        values.iter().copied().map(Figure::from).collect()
    }

    /// Of 1, 2, … n the places themselves, with the coverage: scipy 1.17.1, `1 - 2 * binom.cdf(k - 1, n, 0.5)` for the
    /// largest k that keeps the nominal one.
    #[track_caller]
    fn check(n: u32, nominal: f64, expected: Option<(f64, f64, f64)>) {
        let values = figures(&(1..=n).map(f64::from).collect::<Vec<_>>());
        let found = median_interval(&values, nominal);
        assert_eq!(found.map(|it| (it.low, it.high)), expected.map(|(low, high, _)| (low, high)));
        let coverage = |it: Option<f64>| it.unwrap_or_default();
        let apart = coverage(found.map(|it| it.coverage)) - coverage(expected.map(|it| it.2));
        assert!(apart.abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn places_and_coverage_are_those_of_the_binomial_law() {
        check(5, 0.95, None);
        check(5, 0.9, Some((1.0, 5.0, 0.9375)));
        check(6, 0.95, Some((1.0, 6.0, 0.96875)));
        check(7, 0.95, Some((1.0, 7.0, 0.984375)));
        check(9, 0.95, Some((2.0, 8.0, 0.9609375)));
        check(10, 0.95, Some((2.0, 9.0, 0.978515625)));
        check(12, 0.95, Some((3.0, 10.0, 0.96142578125)));
        check(20, 0.95, Some((6.0, 15.0, 0.9586105346679688)));
        check(12, 0.9, Some((3.0, 10.0, 0.96142578125)));
        check(20, 0.9, Some((6.0, 15.0, 0.9586105346679688)));
        check(8, 0.9, Some((2.0, 7.0, 0.9296875)));
    }

    #[test]
    fn doubt_widens_it() {
        let mut six = figures(&[6.0, 2.0, 3.0, 4.0, 5.0, 1.0]);
        (six[5].least, six[1].most) = (0.5, 9.0);
        let found = median_interval(&six, 0.95).unwrap();
        assert_eq!((found.low, found.high), (0.5, 9.0));
    }

    #[test]
    fn what_never_ended_has_a_median_too() {
        let never = f64::INFINITY;
        assert_eq!(median(&figures(&[never, never, 1.0, never])), Some(never));
        assert_eq!(median(&figures(&[1.0, 4.0, 2.0, 3.0])), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    proptest! {
        #[test]
        fn the_median_lies_inside_and_less_coverage_is_never_wider(values in vec(-1e6..1e6_f64, 6..40)) {
            let values = figures(&values);
            let (wide, narrow) = (median_interval(&values, 0.95).unwrap(), median_interval(&values, 0.9).unwrap());
            let middle = median(&values).unwrap();
            prop_assert!(wide.low <= narrow.low && narrow.low <= middle);
            prop_assert!(middle <= narrow.high && narrow.high <= wide.high);
        }
    }
}

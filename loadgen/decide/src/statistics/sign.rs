//! The sign test: on which side of a bound the values of blocks lie. Exact, whatever law they follow.

use crate::Figure;

/// The chance of at least `k` heads in `n` throws of a coin.
#[must_use]
pub fn at_least_heads(n: usize, k: usize) -> f64 {
    // Summed from the rare end: from the other one the sum would be lost beside 1.
    (k..=n).rev().map(|heads| chance(n, heads)).sum::<f64>().min(1.0)
}

/// The chance of `i` heads in `n` throws.
fn chance(n: usize, i: usize) -> f64 {
    (0..i).fold(0.5_f64.powi(n as i32), |chance, j| chance * (n - j) as f64 / (j + 1) as f64)
}

/// The two-sided p of `above` values above and `below` below a bound, if it is their median. Ties are left out by
/// whoever counts, as the test is usually told (Dixon and Mood 1946).
#[must_use]
pub fn sign_test(above: usize, below: usize) -> f64 {
    (2.0 * at_least_heads(above + below, above.max(below))).min(1.0)
}

/// How many values lie surely above a bound, how many surely below, and how many neither: on it, or on both sides
/// of it by their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Surely above.
    pub above: usize,
    /// Surely below.
    pub below: usize,
    /// Neither.
    pub neither: usize,
}

impl Signs {
    /// Of values against `bound`: one counts for a side only if its unfavourable end does.
    #[must_use]
    pub fn of(values: &[Figure], bound: f64) -> Self {
        values.iter().fold(Self::default(), |signs, figure| match figure {
            figure if figure.least > bound => Self { above: signs.above + 1, ..signs },
            figure if figure.most < bound => Self { below: signs.below + 1, ..signs },
            _ => Self { neither: signs.neither + 1, ..signs },
        })
    }

    /// All of them.
    #[must_use]
    pub fn all(self) -> usize {
        self.above + self.below + self.neither
    }

    /// The one-sided p of "the median lies above": what is neither counts against it.
    #[must_use]
    pub fn p_above(self) -> f64 {
        at_least_heads(self.all(), self.above)
    }

    /// The one-sided p of "the median lies below": what is neither counts against it.
    #[must_use]
    pub fn p_below(self) -> f64 {
        at_least_heads(self.all(), self.below)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::median_interval;

    /// scipy 1.17.1: `scipy.stats.binomtest(above, above + below, 0.5).pvalue`.
    #[test]
    fn p_is_that_of_scipy() {
        for (above, below, expected) in REFERENCE {
            let found = sign_test(above, below);
            assert!((found - expected).abs() < 1e-14, "{above} {below}: {found}");
        }
    }

    include!("sign_reference.rs");

    #[test]
    fn what_is_on_both_sides_counts_for_none() {
        let doubtful = Figure { value: 2.0, least: 0.5, most: 3.0 };
        let signs = Signs::of(&[Figure::from(2.0), doubtful, 1.0.into(), 0.5.into()], 1.0);
        assert_eq!(signs, Signs { above: 1, below: 1, neither: 2 });
        assert!((signs.p_above() - 15.0 / 16.0).abs() < 1e-15);
    }

    proptest! {
        /// The interval of the median and the sign test say the same.
        #[test]
        fn the_interval_lies_beyond_a_bound_if_and_only_if_p_says_so(
            values in vec((-3.0..3.0_f64, 0.0..0.5_f64), 6..30), bound in -2.0..2.0_f64
        ) {
            let figure = |(value, doubt): &(f64, f64)| Figure { value: *value, least: value - doubt, most: value + doubt };
            let values: Vec<Figure> = values.iter().map(figure).collect();
            let (interval, signs) = (median_interval(&values, 0.95).unwrap(), Signs::of(&values, bound));
            prop_assert_eq!(interval.low > bound, 2.0 * signs.p_above() <= 0.05);
            prop_assert_eq!(interval.high < bound, 2.0 * signs.p_below() <= 0.05);
        }

        #[test]
        fn sides_are_alike(above in 0..40_usize, below in 0..40_usize) {
            prop_assert!((sign_test(above, below) - sign_test(below, above)).abs() < 1e-15);
        }
    }
}

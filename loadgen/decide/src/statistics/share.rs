//! Shares of many arrivals: exact bounds, and those of Wilson.

use super::beta::{beta_law, beta_place};

/// More arrivals say no more: no trial has them, and fewer only widen an interval.
const ARRIVALS_MAX: f64 = 1e7;

/// Both ends of the interval of a share that was found in `n` independent arrivals, each missed with a chance of
/// `miss` / 2 at most (Clopper and Pearson 1934). `n` may be broken: fewer independent ones than there are.
#[must_use]
pub fn exact_bounds(share: f64, n: f64, miss: f64) -> (f64, f64) {
    let (share, n) = (share.clamp(0.0, 1.0), n.min(ARRIVALS_MAX));
    let (part, rest) = (share * n, n - share * n);
    let low = if part <= 0.0 { 0.0 } else { beta_place(miss / 2.0, part, rest + 1.0) };
    let high = if rest <= 0.0 { 1.0 } else { beta_place(1.0 - miss / 2.0, part + 1.0, rest) };
    (low, high)
}

/// One end of the interval of a share of `n` arrivals, for the normal quantile `z`, below if that is negative
/// (Wilson 1927). Narrower than the exact one, and met on the average over shares, not for each of them.
#[must_use]
pub fn wilson(share: f64, n: f64, z: f64) -> f64 {
    let middle = share + z * z / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).max(0.0).sqrt();
    ((middle + half) / (1.0 + z * z / n)).clamp(0.0, 1.0)
}

/// The one-sided p of "more than `bound` of all are so": the chance of at least `k` of `n` if the true share is
/// `bound`.
#[must_use]
pub fn binomial_test(k: usize, n: usize, bound: f64) -> f64 {
    if k == 0 { 1.0 } else { beta_law(bound, k as f64, (n - k + 1) as f64) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// scipy 1.17.1: `binomtest(k, n).proportion_ci(confidence_level, method)`, "exact" and "wilson".
    #[test]
    fn bounds_are_those_of_scipy() {
        for [k, n, level, low, high, wilson_low, wilson_high, z] in REFERENCE {
            let (share, bounds) = (k / n, exact_bounds(k / n, n, 1.0 - level));
            let found = [bounds.0, bounds.1, wilson(share, n, -z), wilson(share, n, z)];
            let expected = [low, high, wilson_low, wilson_high];
            let meets =
                found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9);
            assert!(meets, "{k} of {n}: {found:?}, not {expected:?}");
        }
    }

    include!("share_reference.rs");

    proptest! {
        #[test]
        fn they_hold_the_share_and_shrink_with_more(k in 0..500_u32, more in 0..500_u32) {
            let n = f64::from((k + more).max(1));
            let share = f64::from(k) / n;
            let (low, high) = exact_bounds(share, n, 0.001);
            prop_assert!(low <= share && share <= high);
            let (nearer, farther) = exact_bounds(share, 10.0 * n, 0.001);
            prop_assert!(low <= nearer && farther <= high);
        }

        /// A bound lies outside the interval if and only if the test says so.
        #[test]
        fn bounds_and_test_say_the_same(k in 0..40_usize, more in 0..40_usize, bound in 0.01..0.99_f64) {
            let n = (k + more).max(1);
            let (low, _) = exact_bounds(k as f64 / n as f64, n as f64, 0.05);
            prop_assert!((low - bound).abs() < 1e-6 || (low > bound) == (binomial_test(k, n, bound) < 0.025));
        }
    }
}

//! What must be found: percentiles of a stall by arithmetic, and the exponential distribution.

/// A server that answers at once, except that requests which arrive in [from, from + lasts) are
/// answered at its end. Arrivals are even, over [0, duration).
#[derive(Clone, Copy, Debug)]
pub(super) struct StallTruth {
    pub(super) duration_s: f64,
    pub(super) from_s: f64,
    pub(super) lasts_s: f64,
}

impl StallTruth {
    /// The q-quantile of the waiting times, µs: the share that waits longer than w is the share of
    /// arrivals in [from, from + lasts − w), cut at the end of the schedule.
    pub(super) fn quantile_us(&self, q: f64) -> f64 {
        let end = (self.from_s + self.lasts_s).min(self.duration_s);
        let stalled_s = end - self.from_s;
        let least_s = self.from_s + self.lasts_s - end;
        let longer_s = (1.0 - q) * self.duration_s;
        if longer_s >= stalled_s { 0.0 } else { (least_s + stalled_s - longer_s) * 1e6 }
    }
}

/// Kolmogorov's distance between the gaps of ascending instants (ns) and an exponential of `rate`.
pub(super) fn distance_from_exponential(instants_ns: &[u64], rate: f64) -> f64 {
    let gap = |w: &[u64]| w[1].saturating_sub(w[0]) as f64 / 1e9 * rate;
    let mut gaps: Vec<f64> = instants_ns.windows(2).map(gap).collect();
    gaps.sort_by(f64::total_cmp);
    let n = gaps.len() as f64;
    let off = |(i, gap): (usize, &f64)| {
        let truth = 1.0 - (-gap).exp();
        (truth - i as f64 / n).abs().max((truth - (i + 1) as f64 / n).abs())
    };
    gaps.iter().enumerate().map(off).fold(0.0, f64::max)
}

/// A quantile of ascending values; 0 if there are none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_in_mid_run_and_one_at_the_end() {
        let check = |truth: StallTruth, q: f64, expected_s: f64| {
            let found = truth.quantile_us(q) / 1e6;
            assert!((found - expected_s).abs() < 1e-9, "{truth:?} {q}: {found}");
        };
        let middle = StallTruth { duration_s: 10.0, from_s: 4.0, lasts_s: 2.0 };
        for (q, s) in [(0.5, 0.0), (0.79, 0.0), (0.9, 1.0), (0.99, 1.9), (1.0, 2.0)] {
            check(middle, q, s);
        }
        let end = StallTruth { duration_s: 5.0, from_s: 4.0, lasts_s: 5.0 };
        for (q, s) in [(0.5, 0.0), (0.9, 4.5), (0.99, 4.95), (1.0, 5.0)] {
            check(end, q, s);
        }
    }

    #[test]
    fn even_gaps_are_not_exponential() {
        let even: Vec<u64> = (0..1_000).map(|n| n * 1_000_000).collect();
        assert!(distance_from_exponential(&even, 1_000.0) > 0.5);
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 1.0), 4.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}

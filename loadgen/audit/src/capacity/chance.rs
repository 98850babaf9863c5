//! What chance makes of a window's seconds: intervals of means whose neighbours go together, as they do
//! in queues and bursts. It knows numbers, not what they count.

/// Student's t, one side at 97.5 %, by degrees of freedom from 1 on; 1.96 far beyond.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];
const NORMAL: f64 = 1.96;
/// Differences of a random walk's averages are correlated by 1/4 with the next: the variance of their
/// mean is 1 + 2/4 times what independent ones would have.
const TOGETHER: f64 = 1.5;

/// A mean, and the ends between which it lies with 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) mean: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Interval {
    /// Of a mean with this standard error.
    fn around(mean: f64, error: f64, freedom: usize) -> Self {
        let t = match freedom {
            0 => f64::INFINITY,
            n => STUDENT.get(n - 1).copied().unwrap_or(NORMAL),
        };
        // Without any deviation the mean is sure, however few there are.
        let away = if error > 0.0 { t * error } else { 0.0 };
        Self { mean, least: mean - away, most: mean + away }
    }

    /// Of the mean of independent values.
    pub(super) fn of(values: &[f64]) -> Self {
        let (mean, variance) = moments(values);
        let n = values.len() as f64;
        Self::around(mean, (variance / n).sqrt(), values.len().saturating_sub(1))
    }

    /// Of the mean of `values`, freed from what `known` explains of them; `known` has a mean of zero in
    /// the long run. Neighbours go together. (A control variate: the residuals' mean with the slope of
    /// least squares, kept between none and all of it.)
    pub(super) fn freed(values: &[f64], known: &[f64]) -> Self {
        let ((mean, _), (centre, spread)) = (moments(values), moments(known));
        let pairs = values.iter().zip(known);
        let common: f64 = pairs.clone().map(|(v, k)| (v - mean) * (k - centre)).sum();
        let n = values.len() as f64;
        let slope = (common / (spread * (n - 1.0)).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        let left: Vec<f64> = pairs.map(|(v, k)| v - slope * k).collect();
        let (mean, variance) = moments(&left);
        let freedom = values.len().saturating_sub(2);
        Self::around(mean, (TOGETHER * variance / n).sqrt(), freedom)
    }

    /// Of a share, from the whole and the part of each second; neighbours go together.
    pub(super) fn share(seconds: &[(f64, f64)]) -> Self {
        let (whole, part) = seconds.iter().fold((0.0, 0.0), |(w, p), s| (w + s.0, p + s.1));
        let (share, n) = (part / f64::max(whole, 1.0), seconds.len() as f64);
        let squares: f64 = seconds.iter().map(|(w, p)| (p - share * w).powi(2)).sum();
        let error = (TOGETHER * squares * n / f64::max(n - 1.0, 1.0)).sqrt() / f64::max(whole, 1.0);
        Self::around(share, error, seconds.len().saturating_sub(1))
    }
}

/// Mean and variance.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (n - 1.0).max(1.0))
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn an_interval_is_that_of_student() {
        // 1, 2, 3, 4: mean 2.5, standard error 0.6455, t of 3 degrees 3.182.
        let interval = Interval::of(&[1.0, 2.0, 3.0, 4.0]);
        assert!((interval.mean - 2.5).abs() < 1e-12);
        assert!((interval.most - 2.5 - 2.054).abs() < 1e-3, "{interval:?}");
        assert_eq!(Interval::of(&[2.0; 5]), Interval { mean: 2.0, least: 2.0, most: 2.0 });
        assert_eq!(Interval::of(&[1.0, 2.0][..1]).least, 1.0);
    }

    #[test]
    fn what_is_known_is_taken_out() {
        let known = [3.0, -5.0, 8.0, -1.0, -4.0];
        let values = known.map(|k| 7.0 + k);
        let freed = Interval::freed(&values, &known);
        assert!((freed.mean - 7.0).abs() < 1e-9 && freed.most - freed.least < 1e-6, "{freed:?}");
        let of_nothing = Interval::freed(&values, &[0.0; 5]);
        assert!((of_nothing.mean - 7.2).abs() < 1e-9 && of_nothing.most > 10.0, "{of_nothing:?}");
    }

    #[test]
    fn a_share_that_is_the_same_in_each_second_is_sure_and_a_burst_is_not() {
        let even = Interval::share(&[(100.0, 2.0); 10]);
        assert!((even.least - 0.02).abs() < 1e-12 && (even.most - 0.02).abs() < 1e-12);
        let mut burst = [(100.0, 0.0); 10];
        burst[4].1 = 20.0;
        let burst = Interval::share(&burst);
        assert!((burst.mean - 0.02).abs() < 1e-12 && burst.least < 0.0 && burst.most > 0.05);
    }

    /// Of a random walk that is averaged second by second the interval holds the drift.
    #[test]
    fn of_averages_of_a_walk_the_interval_holds_the_drift() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (walks, steps, seconds) = (400, 50, 12);
        let held = (0..walks).filter(|_| {
            let mut at = 0.0;
            let means: Vec<f64> = (0..seconds)
                .map(|_| {
                    let part = (0..steps).map(|_| {
                        at += 0.1 + rng.random_range(-1.0..1.0);
                        at
                    });
                    part.sum::<f64>() / f64::from(steps)
                })
                .collect();
            let differences: Vec<f64> = means.windows(2).map(|w| w[1] - w[0]).collect();
            let interval = Interval::freed(&differences, &vec![0.0; differences.len()]);
            interval.least <= 5.0 && 5.0 <= interval.most
        });
        let share = held.count() as f64 / f64::from(walks);
        assert!(share > 0.92, "{share}");
    }
}

//! From a value to a share of an axis, and where the axis carries its marks.

/// An axis from `lo` to `hi`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Equal steps.
    Linear {
        /// Its beginning.
        lo: f64,
        /// Its end.
        hi: f64,
    },
    /// Equal factors.
    Log {
        /// Its beginning, above 0.
        lo: f64,
        /// Its end.
        hi: f64,
    },
}

impl Scale {
    /// From 0 to a little above `max`.
    pub(super) fn from_zero(max: f64) -> Self {
        Self::with_zero(0.0, max.max(1e-9))
    }

    /// From a little below `lo`, which is 0 or less, to a little above `hi`.
    pub(super) fn with_zero(lo: f64, hi: f64) -> Self {
        let step = step((hi - lo).max(1e-9) / 4.0);
        Self::Linear { lo: (lo * 1.04 / step).floor() * step, hi: (hi * 1.04 / step).ceil() * step }
    }

    /// Whole 1-2-5 steps of a factor around the positive `values`; 1 to 10 if there are none.
    pub(super) fn factors(values: impl Iterator<Item = f64>) -> Self {
        let (lo, hi) = values
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(lo, hi), value| (lo.min(value), hi.max(value)));
        if hi == 0.0 {
            return Self::Log { lo: 1.0, hi: 10.0 };
        }
        let (lo, hi) = (below(lo), above(hi * 1.1));
        Self::Log { lo, hi: if hi > lo { hi } else { lo * 10.0 } }
    }

    /// Where `value` lies: 0 at the beginning, 1 at the end, never outside.
    pub(super) fn share(&self, value: f64) -> f64 {
        let share = match *self {
            Self::Linear { lo, hi } => (value - lo) / (hi - lo),
            Self::Log { lo, hi } => (value.max(lo) / lo).ln() / (hi / lo).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    /// The last value.
    pub(super) fn end(&self) -> f64 {
        match *self {
            Self::Linear { hi, .. } | Self::Log { hi, .. } => hi,
        }
    }

    /// Where marks stand, if about `wanted` are.
    pub(super) fn marks(&self, wanted: u32) -> Vec<f64> {
        match *self {
            Self::Linear { lo, hi } => {
                let step = step((hi - lo) / f64::from(wanted));
                let first = (lo / step).ceil() as i64;
                let last = (hi / step + 1e-9).floor() as i64;
                (first..=last).map(|n| n as f64 * step).collect()
            }
            Self::Log { lo, hi } => {
                let few = (hi / lo).log10() < 2.5;
                let inside = |value: &f64| *value >= lo * 0.999 && *value <= hi * 1.001;
                one_two_five(lo, hi)
                    .filter(|(factor, _)| few || *factor == 1.0)
                    .map(|(factor, power)| factor * power)
                    .filter(inside)
                    .collect()
            }
        }
    }
}

fn one_two_five(lo: f64, hi: f64) -> impl Iterator<Item = (f64, f64)> {
    let powers = lo.log10().floor() as i32..=hi.log10().ceil() as i32;
    powers.flat_map(|power| [1.0, 2.0, 5.0].map(|factor| (factor, 10_f64.powi(power))))
}

fn below(value: f64) -> f64 {
    let fits = |edge: &f64| *edge <= value * 1.001;
    one_two_five(value, value * 10.0)
        .map(|(factor, power)| factor * power)
        .take_while(fits)
        .last()
        .unwrap_or(value)
}

fn above(value: f64) -> f64 {
    one_two_five(value, value * 10.0)
        .map(|(factor, power)| factor * power)
        .find(|edge| *edge >= value * 0.999)
        .unwrap_or(value)
}

/// The 1-2-5 step next above `rough`.
pub(super) fn step(rough: f64) -> f64 {
    above(rough.max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_scale_ends_on_whole_steps() {
        let scale = Scale::factors([0.0, 3.4, 170.0].into_iter());
        assert_eq!(scale, Scale::Log { lo: 2.0, hi: 200.0 });
        assert_eq!(scale.marks(5).len(), 7);
        assert!((scale.share(20.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_scale_without_values_is_still_one() {
        assert_eq!(Scale::factors(std::iter::empty()), Scale::Log { lo: 1.0, hi: 10.0 });
        assert!(Scale::from_zero(0.0).share(0.0).abs() < 1e-9);
    }

    #[test]
    fn a_scale_may_go_below_zero() {
        assert_eq!(Scale::with_zero(-3.0, 50.0).marks(5), [-20.0, 0.0, 20.0, 40.0, 60.0]);
        assert_eq!(Scale::with_zero(0.0, 187.0), Scale::from_zero(187.0));
    }

    #[test]
    fn zero_based_marks_are_round() {
        assert_eq!(Scale::from_zero(187.0).marks(5), [0.0, 50.0, 100.0, 150.0, 200.0]);
    }
}

//! A measured value between its two ends.

/// A value as measured, and between which ends it is on a machine that is never late and never stands still
/// (docs/methodology/doubt.md).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// As measured.
    pub value: f64,
    /// The lower end.
    pub least: f64,
    /// The upper end.
    pub most: f64,
}

impl From<f64> for Figure {
    /// One that the measuring machine cannot touch.
    fn from(value: f64) -> Self {
        Self { value, least: value, most: value }
    }
}

impl Figure {
    /// As a multiple of another one, between the unfavourable ends; `None` where a side is not positive, or neither
    /// ended. Infinite where this one alone never ended, 0 where only the other did not.
    #[must_use]
    pub fn over(self, other: Self) -> Option<Self> {
        let value = self.value / other.value;
        let is_ratio = self.value > 0.0 && other.value > 0.0 && !value.is_nan();
        let ends = (self.least / other.most, self.most / other.least);
        is_ratio.then(|| Self::between(value, ends))
    }

    /// How much more it is than another one, between the unfavourable ends; `None` if both are infinite.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        let value = self.value - other.value;
        let ends = (self.least - other.most, self.most - other.least);
        (!value.is_nan()).then(|| Self::between(value, ends))
    }

    /// An end that no arithmetic gives (∞ − ∞, 0 / 0) may be anything.
    fn between(value: f64, (least, most): (f64, f64)) -> Self {
        let or = |end: f64, any: f64| if end.is_nan() { any } else { end };
        Self { value, least: or(least, f64::NEG_INFINITY), most: or(most, f64::INFINITY) }
    }
}

/// A figure of one arm in one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The value; a share from 0 to 1, a time in ms, whatever else in the unit of its [`crate::Measure`].
    pub figure: Figure,
    /// Of a share: of how many independent arrivals (all of them, divided by how many times seconds differ more than
    /// chance makes them). Of a count: of how many orders, to be told beside it.
    pub of: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unfavourable_ends_meet() {
        let [a, b] =
            [(10.0, 9.0, 12.0), (5.0, 4.0, 6.0)].map(|(v, l, m)| Figure::between(v, (l, m)));
        assert_eq!(a.over(b), Some(Figure { value: 2.0, least: 1.5, most: 3.0 }));
        assert_eq!(a.minus(b), Some(Figure { value: 5.0, least: 3.0, most: 8.0 }));
    }

    #[test]
    fn what_never_ended_is_an_end_of_the_order_and_nothing_over_nothing_is_no_ratio() {
        let of = |value: f64| Figure::from(value);
        let never = of(f64::INFINITY);
        assert_eq!(never.over(of(2.0)).map(|ratio| ratio.value), Some(f64::INFINITY));
        assert_eq!(of(2.0).over(never).map(|ratio| ratio.value), Some(0.0));
        assert_eq!(never.over(never), None);
        assert_eq!(never.minus(never), None);
        assert_eq!(of(0.0).over(of(2.0)), None);
        let doubtful = Figure { value: 2.0, least: 1.0, most: f64::INFINITY };
        let any = doubtful.minus(Figure { most: f64::INFINITY, ..of(1.0) }).unwrap();
        assert_eq!((any.least, any.most), (f64::NEG_INFINITY, f64::INFINITY));
    }
}

//! Facts: what the counts of each single block decide, if all blocks are alike. It rests on no repetition, so chance in
//! many claims has nothing to do with it.

use super::LEAST_BLOCKS_OF_FACTS;
use super::finding::{Finding, Proof, Side};
use super::series::Series;
use crate::claim::{Bounds, Kind};
use crate::figure::Figure;
use crate::statistics::median;

/// Whether the values of each block lie surely inside or outside of the bounds.
pub(super) fn finding(series: &Series<'_>, bounds: Bounds) -> Finding {
    let counted: Vec<Figure> = series.values.iter().map(|value| value.counted).collect();
    let inside = counted.iter().filter(|figure| bounds.hold(figure)).count();
    let outside = counted.iter().filter(|figure| bounds.exclude(figure)).count();
    let all = counted.len();
    let mut found = Finding::new(series, Proof::Counts { inside, outside });
    found.effect = median(&series.figures());
    found.low = counted.iter().map(|figure| figure.least).reduce(f64::min);
    found.high = counted.iter().map(|figure| figure.most).reduce(f64::max);
    let above = |figure: &&Figure| bounds.high.is_some_and(|high| figure.least > high);
    // Of "none is lost" one lost order is the end, whatever other blocks show.
    if series.expect.measure.kind == Kind::Count && counted.iter().filter(above).count() > 0 {
        return found.lean(Side::Fails);
    }
    if all < LEAST_BLOCKS_OF_FACTS {
        found.proof = Proof::TooFew { needs: LEAST_BLOCKS_OF_FACTS };
        return found;
    }
    let side = match () {
        () if inside == all => Side::Holds,
        () if outside == all => Side::Fails,
        () => Side::Undecided,
    };
    found.lean(side)
}

impl Bounds {
    /// Whether all of the value lies inside.
    pub(super) fn hold(self, figure: &Figure) -> bool {
        self.low.is_none_or(|low| figure.least >= low)
            && self.high.is_none_or(|high| figure.most <= high)
    }

    /// Whether all of it lies outside.
    pub(super) fn exclude(self, figure: &Figure) -> bool {
        self.low.is_some_and(|low| figure.most < low)
            || self.high.is_some_and(|high| figure.least > high)
    }
}

//! Effects: what only repetition decides. Pairs within blocks, signs against a bound, the median's interval.

use super::LEAST_BLOCKS;
use super::finding::{Finding, Proof, Side};
use super::series::Series;
use crate::claim::Bounds;
use crate::figure::Figure;
use crate::statistics::{Signs, median, median_interval};

/// The coverage of an interval; of one that lies inside two bounds (two one-sided tests: Schuirmann 1987).
const COVERAGE: f64 = 0.95;
/// As above.
const COVERAGE_WITHIN: f64 = 0.90;

/// What signs say of a bound or two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tested {
    pub(super) side: Side,
    pub(super) p: f64,
    /// How many values lie surely on that side.
    pub(super) beyond: usize,
}

/// Whether the median over all blocks lies inside or outside of the bounds.
pub(super) fn finding(series: &Series<'_>, bounds: Bounds) -> Finding {
    by_signs(Finding::new(series, Proof::TooFew { needs: LEAST_BLOCKS }), &series.figures(), bounds)
}

/// Fills in effect, interval, p, and what they lean to.
pub(super) fn by_signs(mut found: Finding, values: &[Figure], bounds: Bounds) -> Finding {
    let tested = test(values, bounds);
    let is_within = bounds.low.is_some() && bounds.high.is_some() && tested.side != Side::Fails;
    let interval = median_interval(values, if is_within { COVERAGE_WITHIN } else { COVERAGE });
    (found.effect, found.low, found.high) =
        (median(values), interval.map(|it| it.low), interval.map(|it| it.high));
    if values.len() < LEAST_BLOCKS {
        return found;
    }
    found.proof = Proof::Signs { beyond: tested.beyond };
    found.p = Some(tested.p);
    found.lean(tested.side)
}

/// To which side values lean, and with what p: two-sided against each bound, but one-sided for lying between two.
pub(super) fn test(values: &[Figure], bounds: Bounds) -> Tested {
    let low = bounds.low.map(|low| Signs::of(values, low));
    let high = bounds.high.map(|high| Signs::of(values, high));
    let two = |p: f64| (2.0 * p).min(1.0);
    let inside = match (low, high) {
        (Some(low), Some(high)) => (low.p_above().max(high.p_below()), low.above.min(high.below)),
        (Some(low), None) => (two(low.p_above()), low.above),
        (None, Some(high)) => (two(high.p_below()), high.below),
        (None, None) => (1.0, 0),
    };
    let below = low.map(|signs| (two(signs.p_below()), signs.below));
    let above = high.map(|signs| (two(signs.p_above()), signs.above));
    let outside = [below, above].into_iter().flatten();
    let (p, beyond) = outside.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((1.0, 0));
    if inside.0 < p {
        Tested { side: Side::Holds, p: inside.0, beyond: inside.1 }
    } else if p < inside.0 {
        Tested { side: Side::Fails, p, beyond }
    } else {
        Tested { side: Side::Undecided, p: 1.0, beyond: 0 }
    }
}

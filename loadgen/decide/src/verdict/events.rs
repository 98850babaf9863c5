//! Events: a trial came out so or not. In what share of all seeds would it?

use super::LEAST_BLOCKS;
use super::finding::{Finding, Proof, Side};
use super::series::Series;
use crate::claim::Bounds;
use crate::statistics::{binomial_test, exact_bounds};

/// How often the interval of the share may miss it.
const MISS: f64 = 0.05;

/// Whether the share of events lies inside or outside of the bounds: exact, one event a block.
pub(super) fn finding(series: &Series<'_>, bounds: Bounds) -> Finding {
    let n = series.values.len();
    let figures = series.figures();
    // One that may have been or not counts for the side that it does not help.
    let sure = figures.iter().filter(|figure| figure.least >= 0.5).count();
    let possible = figures.iter().filter(|figure| figure.most >= 0.5).count();
    let mut found = Finding::new(series, Proof::TooFew { needs: LEAST_BLOCKS });
    if n == 0 {
        return found;
    }
    let share = |k: usize| k as f64 / n as f64;
    found.effect = Some(share(sure));
    found.low = Some(exact_bounds(share(sure), n as f64, MISS).0);
    found.high = Some(exact_bounds(share(possible), n as f64, MISS).1);
    if n < LEAST_BLOCKS {
        return found;
    }
    let above = |bound: f64| binomial_test(sure, n, bound);
    let below = |bound: f64| binomial_test(n - possible, n, 1.0 - bound);
    let Bounds { low, high } = bounds;
    let inside = low.map_or(0.0, above).max(high.map_or(0.0, below));
    let outside = low.map_or(1.0, below).min(high.map_or(1.0, above));
    let side = if inside < outside { Side::Holds } else { Side::Fails };
    found.proof = Proof::Events { came: sure };
    found.p = Some((2.0 * inside.min(outside)).min(1.0));
    found.lean(side)
}

//! Trends: a quantity changes along a sweep, from its first to its last point, and no step goes against that. Of a map
//! the steps are those along either side.

use super::finding::{Finding, Proof, Side};
use super::series::{Series, Value, value};
use super::{LEAST_BLOCKS, RATE, Results, effects};
use crate::claim::{Bounds, Change, Claim, Direction, Expect};
use crate::figure::Figure;

/// Whether it changes so, by pairs of points within blocks.
pub(super) fn finding(
    claim: &Claim,
    expect: &Expect,
    change: Change,
    results: &dyn Results,
) -> Finding {
    let (rows, left_out) = rows(claim, expect, results);
    let steps = |from: usize, to: usize| -> Vec<Figure> {
        rows.iter().filter_map(|row| change.of(row[from].figure, row[to].figure)).collect()
    };
    let last = claim.points() - 1;
    let values = rows.iter().map(|row| row[last]).collect();
    let series = Series { claim, expect, point: last, values, left_out };
    let found = Finding::new(&series, Proof::TooFew { needs: LEAST_BLOCKS });
    let mut found = effects::by_signs(found, &steps(0, last), change.bounds());
    let Proof::Signs { beyond } = found.proof else { return found };
    // Each step by itself: to allow for their number would let steps against the claim pass.
    let goes_against = |(from, to): &(usize, usize)| {
        let tested = effects::test(&steps(*from, *to), change.reversed().bounds());
        tested.side == Side::Holds && tested.p <= RATE
    };
    let against =
        claim.steps().into_iter().find(goes_against).filter(|_| found.lean == Side::Holds);
    found.proof = Proof::Steps { beyond, against };
    if against.is_some() { found.lean(Side::Undecided) } else { found }
}

/// The blocks that have a value at each point, and how many have not.
fn rows(claim: &Claim, expect: &Expect, results: &dyn Results) -> (Vec<Vec<Value>>, usize) {
    let blocks = results.blocks(claim, 0);
    let row = |block: &u32| -> Option<Vec<Value>> {
        (0..claim.points()).map(|point| value(claim, expect, point, *block, results)).collect()
    };
    let rows: Vec<_> = blocks.iter().filter_map(row).collect();
    let left_out = blocks.len() - rows.len();
    (rows, left_out)
}

impl Change {
    /// From one point to another of the same block.
    fn of(self, from: Figure, to: Figure) -> Option<Figure> {
        if self.is_factor { to.over(from) } else { to.minus(from) }
    }

    /// Beyond which the change is met.
    fn bounds(self) -> Bounds {
        let down = if self.is_factor { 1.0 / self.margin } else { -self.margin };
        match self.direction {
            Direction::Rises => Bounds { low: Some(self.margin), high: None },
            Direction::Falls => Bounds { low: None, high: Some(down) },
        }
    }

    fn reversed(self) -> Self {
        let direction = match self.direction {
            Direction::Rises => Direction::Falls,
            Direction::Falls => Direction::Rises,
        };
        Self { direction, ..self }
    }
}

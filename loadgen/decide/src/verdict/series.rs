//! What an expectation is about, block by block.

use super::{Asked, Results};
use crate::claim::{Cell, Claim, Expect, Kind, Quantity};
use crate::figure::{Figure, Measured};
use crate::statistics::exact_bounds;

/// The chance with which each end of a block's bounds is missed, twice: as the reports' intervals of counts, 99.9 %.
pub(super) const MISS: f64 = 0.001;

/// The values of an expectation at a point of its claim's sweep.
pub(super) struct Series<'a> {
    pub(super) claim: &'a Claim,
    pub(super) expect: &'a Expect,
    /// From 0.
    pub(super) point: usize,
    /// Of the blocks that have one.
    pub(super) values: Vec<Value>,
    /// How many blocks have none.
    pub(super) left_out: usize,
}

/// The value of a block.
#[derive(Clone, Copy)]
pub(super) struct Value {
    /// The quantity, between its ends.
    pub(super) figure: Figure,
    /// The same, and what its counts leave open.
    pub(super) counted: Figure,
    /// Of how many arrivals or orders.
    pub(super) of: f64,
}

impl<'a> Series<'a> {
    pub(super) fn of(
        claim: &'a Claim,
        expect: &'a Expect,
        point: usize,
        results: &dyn Results,
    ) -> Self {
        let blocks = results.blocks(claim, point);
        let asked = blocks.iter().map(|block| value(claim, expect, point, *block, results));
        let values: Vec<Value> = asked.flatten().collect();
        Self { claim, expect, point, left_out: blocks.len() - values.len(), values }
    }

    /// The values without what counts leave open.
    pub(super) fn figures(&self) -> Vec<Figure> {
        self.values.iter().map(|value| value.figure).collect()
    }

    /// Of how many arrivals or orders, in all blocks.
    pub(super) fn arrivals(&self) -> f64 {
        self.values.iter().map(|value| value.of).sum()
    }
}

/// The value of one block.
pub(super) fn value(
    claim: &Claim,
    expect: &Expect,
    point: usize,
    block: u32,
    results: &dyn Results,
) -> Option<Value> {
    let get = |cell: &Cell| {
        let (arm, phase) = (cell.arm.as_str(), cell.phase.as_deref());
        let (measure, operation) = (&expect.measure, expect.operation.as_deref());
        results.figure(&Asked { claim, arm, point, block, measure, phase, operation })
    };
    let counted = |measured: Measured| counted(measured, expect.measure.kind);
    let (figure, counted, of) = match &expect.of {
        Quantity::One(cell) => {
            let one = get(cell)?;
            (one.figure, counted(one), one.of)
        }
        Quantity::Ratio(one, other) => {
            let ratio = get(one)?.figure.over(get(other)?.figure)?;
            (ratio, ratio, None)
        }
        Quantity::Difference(one, other) => {
            let (one, other) = (get(one)?, get(other)?);
            let both = one.of.zip(other.of).map(|(one, other)| one + other);
            (one.figure.minus(other.figure)?, counted(one).minus(counted(other))?, both)
        }
    };
    let of = of.unwrap_or(0.0);
    Some(Value { figure, counted, of }).filter(|value| !value.figure.value.is_nan())
}

/// A share between the exact bounds around its two ends.
fn counted(measured: Measured, kind: Kind) -> Figure {
    let Measured { figure, of } = measured;
    let Some(n) = of.filter(|n| *n > 0.0 && n.is_finite() && kind == Kind::Share) else {
        return figure;
    };
    let (least, most) =
        (exact_bounds(figure.least, n, MISS).0, exact_bounds(figure.most, n, MISS).1);
    Figure { value: figure.value, least, most }
}

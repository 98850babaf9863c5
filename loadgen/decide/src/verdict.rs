//! What the figures of blocks say of claims: each finding by itself, then all beside each other, then the controls.

mod answer;
mod controls;
mod effects;
mod events;
mod facts;
mod family;
mod finding;
mod series;
#[cfg(test)]
mod tests;
mod trend;

#[cfg(test)]
use crate::Must;
use crate::claim::{Claim, Expect, Kind, Measure, Rule};
use crate::figure::Measured;

pub use answer::{Answer, Verdict};
pub use family::{Correction, LEAST_BLOCKS_OF_HOLM, RATE};
pub use finding::{Finding, Proof, Side};

/// The fewest blocks in which facts are told: what one block shows thousands of times must be so in all.
pub const LEAST_BLOCKS_OF_FACTS: usize = 3;
/// The fewest blocks that decide by repetition: seven alike have p = 0.016, six 0.031.
pub const LEAST_BLOCKS: usize = 7;

/// Where the figures come from.
pub trait Results {
    /// The numbers of the blocks that a claim has at a point of its sweep, whatever came of them.
    fn blocks(&self, claim: &Claim, point: usize) -> Vec<u32>;
    /// A figure; `None` if that trial is not to be believed, or does not have it.
    fn figure(&self, asked: &Asked<'_>) -> Option<Measured>;
}

/// Which figure.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Of which claim.
    pub claim: &'a Claim,
    /// Of which of its arms.
    pub arm: &'a str,
    /// At which point of its sweep, from 0.
    pub point: usize,
    /// In which block.
    pub block: u32,
    /// Which one.
    pub measure: &'a Measure,
    /// Of which phase; without one, of all arrivals after the warm-up.
    pub phase: Option<&'a str>,
    /// Of which operation; without one, of the main one.
    pub operation: Option<&'a str>,
}

/// What a run decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Of each claim, in the order given.
    pub verdicts: Vec<Verdict>,
    /// Of each control of the run.
    pub controls: Vec<Verdict>,
    /// What is wrong with the controls; then nothing is decided. Empty if they are right.
    pub wrong: Vec<String>,
    /// Which controls could not be judged of so few blocks.
    pub unjudged: Vec<String>,
    /// How chance in many findings was allowed for.
    pub correction: Correction,
}

/// The verdicts on `claims`, controls of the run among them.
#[must_use]
pub fn decide(claims: &[Claim], results: &dyn Results) -> Decision {
    let (controls, claims): (Vec<&Claim>, Vec<&Claim>) =
        claims.iter().partition(|claim| claim.must.is_some());
    let of = |claims: &[&Claim]| -> Vec<Vec<Finding>> {
        claims.iter().map(|claim| findings(claim, results)).collect()
    };
    let (mut asked, mut own) = (of(&claims), of(&controls));
    let correction = family::correct(&mut asked);
    family::alone(&mut own);
    let verdict = |(claim, found): (&&Claim, Vec<Finding>)| answer::of(claim, found);
    let controls: Vec<Verdict> = controls.iter().zip(own).map(verdict).collect();
    let (wrong, unjudged) = controls::judge(&controls);
    let verdicts = claims.iter().zip(asked).map(verdict);
    let verdicts = verdicts.map(|verdict| verdict.unless(&wrong)).collect();
    Decision { verdicts, controls, wrong, unjudged, correction }
}

/// What is found for each expectation of a claim, at each point of its sweep.
fn findings(claim: &Claim, results: &dyn Results) -> Vec<Finding> {
    if claim.needs.is_some() {
        return Vec::new();
    }
    let of = |expect: &Expect| match expect.rule {
        Rule::Trend(change) => vec![trend::finding(claim, expect, change, results)],
        Rule::Within(bounds) => {
            let at = |point| at_point(series::Series::of(claim, expect, point, results), bounds);
            (0..claim.points()).map(at).collect()
        }
    };
    claim.expect.iter().flat_map(of).collect()
}

/// By counts where they decide, else by repetition.
fn at_point(series: series::Series<'_>, bounds: crate::Bounds) -> Finding {
    match series.expect.measure.kind {
        Kind::Event => events::finding(&series, bounds),
        Kind::Count => facts::finding(&series, bounds),
        Kind::Amount(_) => effects::finding(&series, bounds),
        Kind::Share => {
            let fact = facts::finding(&series, bounds);
            let is_open = fact.lean == Side::Undecided && series.values.len() >= LEAST_BLOCKS;
            if is_open { effects::finding(&series, bounds) } else { fact }
        }
    }
}

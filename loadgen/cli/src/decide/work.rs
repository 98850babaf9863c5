//! Which trials a block needs, in which order, and which of them fit into what is left of a budget. It runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use decide::{Claim, LEAST_BLOCKS, LEAST_BLOCKS_OF_FACTS};
use report::decided::Planned;

/// A scenario on a system.
pub(super) type Pair = (String, String);

/// What is run together, one after another: all systems under one scenario and what is made of it, so that what is
/// compared meets the machine at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) pairs: Vec<Pair>,
    /// How many blocks it takes until its claims may have a verdict.
    needs: u32,
    /// Expectations that wait for it, a second of load.
    value: f64,
    /// How long its loads are, together, s.
    load_s: f64,
}

impl Group {
    /// How many blocks of it follow this one, of so many at most; facts need no more than they need.
    pub(super) fn blocks_after(&self, block: u32, most: u32) -> u32 {
        let last = if self.needs < LEAST_BLOCKS as u32 { self.needs.min(most) } else { most };
        last.saturating_sub(block)
    }

    /// How long a block of it takes, if each trial takes so much beside its load, s.
    pub(super) fn expected_s(&self, beside_s: f64) -> f64 {
        self.load_s + beside_s * self.pairs.len() as f64
    }
}

/// The groups of the claims that are still open, those first of which most is decided in a second. Controls come
/// before all, for without them nothing is decided.
pub(super) fn groups(
    open: &[(&Planned, &Claim)],
    base_of: impl Fn(&str) -> String,
    load_s: impl Fn(&str) -> f64,
) -> Vec<Group> {
    let mut all: BTreeMap<String, (BTreeSet<Pair>, u32, f64)> = BTreeMap::new();
    for (planned, claim) in open {
        let needs = if claim.is_by_counts() { LEAST_BLOCKS_OF_FACTS } else { LEAST_BLOCKS };
        let needs = u32::try_from(needs).unwrap_or(u32::MAX);
        let asks = if claim.must.is_some() { f64::INFINITY } else { claim.expect.len() as f64 };
        let mut counted = BTreeSet::new();
        for cell in &planned.cells {
            let base = base_of(&cell.scenario);
            let (pairs, blocks, value) = all.entry(base.clone()).or_default();
            pairs.insert((cell.scenario.clone(), cell.system.clone()));
            *blocks = (*blocks).max(needs);
            if counted.insert(base) {
                *value += asks;
            }
        }
    }
    let group = |(pairs, needs, asks): (BTreeSet<Pair>, u32, f64)| {
        let load_s = pairs.iter().map(|(scenario, _)| load_s(scenario)).sum::<f64>().max(0.001);
        Group { pairs: pairs.into_iter().collect(), needs, value: asks / load_s, load_s }
    };
    let mut groups: Vec<Group> = all.into_values().map(group).collect();
    groups.sort_by(|a, b| b.value.total_cmp(&a.value));
    groups
}

/// Of the groups, the first ones that have time enough from block `block` on until their claims may have a verdict.
/// A verdict of many is worth more than half of a verdict on all.
pub(super) fn fitting(groups: Vec<Group>, block: u32, beside_s: f64, left_s: f64) -> Vec<Group> {
    let mut left_s = left_s;
    let fits = |group: &Group| {
        let blocks = (group.needs + 1).saturating_sub(block).max(1);
        left_s -= group.expected_s(beside_s) * f64::from(blocks);
        left_s >= 0.0
    };
    let mut fits = fits;
    groups.into_iter().take_while(|group| fits(group)).collect()
}

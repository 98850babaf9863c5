//! Which trials a block needs, in which order, and which of them fit into what is left of a budget. It runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use decide::{Claim, LEAST_BLOCKS, LEAST_BLOCKS_OF_FACTS};
use report::decided::{Plan, Planned};

/// A scenario on a system.
pub(super) type Pair = (String, String);

/// What is run together, one after another: all systems under one scenario, and under what a claim sets against it, so
/// that what is compared meets the machine at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) pairs: Vec<Pair>,
    /// How many blocks it takes until its claims may have a verdict.
    needs: u32,
    /// How many are run at most.
    most: u32,
    /// Expectations that wait for it, a second of load.
    value: f64,
    /// How long its loads are, together, s.
    load_s: f64,
}

impl Group {
    /// How many blocks of it follow this one; facts need no more than they need.
    pub(super) fn blocks_after(&self, block: u32) -> u32 {
        let Self { needs, most, .. } = *self;
        let last = if needs < LEAST_BLOCKS as u32 { needs.min(most) } else { most };
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
    plan: &Plan,
    open: &[(&Planned, &Claim)],
    base_of: impl Fn(&str) -> String,
    load_s: impl Fn(&str) -> f64,
) -> Vec<Group> {
    let together = together(open, base_of);
    let mut all: BTreeMap<&str, (BTreeSet<Pair>, [u32; 2], f64)> = BTreeMap::new();
    for (planned, claim) in open {
        let needs = if claim.is_by_counts() { LEAST_BLOCKS_OF_FACTS } else { LEAST_BLOCKS };
        let needs = u32::try_from(needs).unwrap_or(u32::MAX);
        let asks = if claim.must.is_some() { f64::INFINITY } else { claim.expect.len() as f64 };
        let mut counted = BTreeSet::new();
        for cell in &planned.cells {
            let group = together.get(cell.scenario.as_str()).copied().unwrap_or_default();
            let (pairs, [least, most], value) = all.entry(group).or_default();
            pairs.insert((cell.scenario.clone(), cell.system.clone()));
            *least = (*least).max(needs);
            *most = (*most).max(plan.blocks_of(planned));
            if counted.insert(group) {
                *value += asks;
            }
        }
    }
    let group = |(pairs, [needs, most], asks): (BTreeSet<Pair>, [u32; 2], f64)| {
        let load_s = pairs.iter().map(|(scenario, _)| load_s(scenario)).sum::<f64>().max(0.001);
        Group { pairs: pairs.into_iter().collect(), needs, most, value: asks / load_s, load_s }
    };
    let mut groups: Vec<Group> = all.into_values().map(group).collect();
    groups.sort_by(|a, b| b.value.total_cmp(&a.value));
    groups
}

/// Of each scenario the name of its group: those of one file that a claim sets against each other.
fn together<'c>(
    open: &[(&'c Planned, &Claim)],
    base_of: impl Fn(&str) -> String,
) -> BTreeMap<&'c str, &'c str> {
    let mut group: BTreeMap<&str, &str> = BTreeMap::new();
    for (planned, _) in open {
        let mut of_base: BTreeMap<String, &str> = BTreeMap::new();
        for cell in &planned.cells {
            let own = *group.entry(&cell.scenario).or_insert(&cell.scenario);
            let first = *of_base.entry(base_of(&cell.scenario)).or_insert(own);
            group.values_mut().filter(|name| **name == own).for_each(|name| *name = first);
        }
    }
    group
}

/// Of the groups, the first ones that have time enough, from block `block` on, until their claims may have a
/// verdict; `there` is how many blocks of a group there are. Some claims with a verdict are worth more than all of them
/// without.
pub(super) fn fitting(
    groups: Vec<Group>,
    block: u32,
    there: impl Fn(&Group) -> u32,
    beside_s: f64,
    left_s: f64,
) -> Vec<Group> {
    let mut left_s = left_s;
    let mut fits = |group: &Group| {
        let most = group.most;
        let blocks = group.needs.min(most).saturating_sub(there(group)).max(1);
        left_s -= group.expected_s(beside_s) * f64::from(blocks);
        left_s >= 0.0 && blocks <= (most + 1).saturating_sub(block)
    };
    groups.into_iter().take_while(|group| fits(group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::decided::Cell;
    use std::path::Path;

    /// A claim with so many cells, each "scenario/system", and what it expects of its arm.
    fn claim(id: &str, more: &str, figure: &str, places: &[&str]) -> (Planned, Claim) {
        let head = "sentence = \"s\"\nsource = { text = \"t\" }\nrefuted_by = \"r\"\nscenario = \"s\"\narms = { a = \"m\" }\n";
        let text =
            format!("{head}{more}\n[[expect]]\nfigure = {figure:?}\nof = \"a\"\nat_most = 0\n");
        let claim = Claim::parse(Path::new(&format!("{id}.toml")), &text).unwrap();
        let cell = |place: &&str| {
            let (scenario, system) = place.split_once('/').unwrap();
            let (scenario, system) = (scenario.to_owned(), system.to_owned());
            Cell { arm: "a".to_owned(), point: 0, scenario, system }
        };
        let cells = places.iter().map(cell).collect();
        (Planned { cells, ..Planned::default() }, claim)
    }

    fn grouped_in(blocks: u32, claims: &[(Planned, Claim)]) -> Vec<Group> {
        let plan = Plan::new("", "", false, blocks);
        let open: Vec<_> = claims.iter().map(|(planned, claim)| (planned, claim)).collect();
        let base = |name: &str| name.split('+').next().unwrap_or_default().to_owned();
        groups(&plan, &open, base, |name| if name.starts_with("long") { 120.0 } else { 30.0 })
    }

    fn grouped(claims: &[(Planned, Claim)]) -> Vec<Group> {
        grouped_in(9, claims)
    }

    fn told(groups: &[Group]) -> Vec<String> {
        let pair = |(scenario, system): &Pair| format!("{scenario}/{system}");
        groups
            .iter()
            .map(|group| group.pairs.iter().map(pair).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn what_decides_most_in_a_second_comes_first_and_controls_before_all() {
        let claims = [
            claim("one", "", "lost", &["long/m", "long/s"]),
            claim("two", "", "lost", &["steady/m", "steady/s"]),
            claim("three", "", "accepted p50", &["steady/m", "steady+x=1/m"]),
            claim("apart", "", "accepted p50", &["steady+x=2/m"]),
            claim("sure", "must = \"hold\"", "lost", &["mistake/m"]),
        ];
        let groups = grouped(&claims);
        assert_eq!(
            told(&groups),
            ["mistake/m", "steady+x=2/m", "steady/m steady/s steady+x=1/m", "long/m long/s"]
        );
        assert_eq!(groups.iter().map(|group| group.needs).collect::<Vec<_>>(), [3, 7, 7, 3]);
        assert_eq!(groups[2].expected_s(5.0), 105.0);
    }

    #[test]
    fn a_budget_holds_what_can_get_its_verdict_in_it() {
        let claims = [
            claim("one", "", "lost", &["long/m"]),
            claim("two", "", "accepted p50", &["steady/m"]),
        ];
        let there = |block: u32| move |_: &Group| block - 1;
        let fit =
            |block, left_s| fitting(grouped(&claims), block, there(block), 10.0, left_s).len();
        assert_eq!(fit(1, f64::INFINITY), 2);
        assert_eq!(fit(1, 7.0 * 40.0 + 3.0 * 130.0), 2);
        assert_eq!(fit(1, 7.0 * 40.0 + 3.0 * 130.0 - 1.0), 1, "blocks that end before a verdict");
        assert_eq!(fit(7, 40.0 + 130.0), 2, "the last block that is needed");
        assert_eq!(fit(9, 39.0), 0);
        let of_one = |there: u32, block, most| {
            let groups = grouped_in(most, &claims);
            fitting(groups, block, move |_| there, 10.0, 7.0 * 40.0).len()
        };
        assert_eq!(of_one(0, 2, 9), 1, "what was not begun needs all of its blocks");
        assert_eq!(of_one(0, 2, 7), 0, "and as many must be left");
        assert_eq!(of_one(0, 1, 1), 2, "few blocks were asked for");
    }

    #[test]
    fn what_is_left_is_told_of_what_goes_on() {
        let groups = grouped(&[
            claim("one", "", "lost", &["long/m"]),
            claim("two", "", "accepted p50", &["steady/m"]),
        ]);
        let left = |block| groups.iter().map(|group| group.blocks_after(block)).collect::<Vec<_>>();
        assert_eq!(left(1), [8, 2]);
        assert_eq!(left(5), [4, 0]);
        let mut many = [claim("one", "", "accepted p50", &["long/m"])];
        many[0].0.blocks = Some(30);
        assert_eq!(grouped(&many)[0].blocks_after(9), 21, "as many as the claim takes");
    }
}

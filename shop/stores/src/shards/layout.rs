//! Which database has a customer's orders. Databases have many points on a ring each, and a customer belongs to the next
//! point (consistent hashing: Karger et al., STOC 1997), so that one database more takes its part from all others and
//! moves nothing between them. Below the ring, one that has too much may have been split in two. Pure, and the same on
//! every machine for ever: it is kept, and what was placed by it is looked for by it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shop::{UserId, Wider};

/// Points of each database. The standard deviation of what it has is about 1/√1024 of the mean, 3 %.
const POINTS: u64 = 1_024;

/// How customers are spread, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    /// Databases on the ring.
    ring: Vec<usize>,
    /// Which gave half of its customers to which, in this sequence.
    splits: Vec<(usize, usize)>,
}

impl Layout {
    /// Over the first so many databases.
    pub(super) fn over(databases: usize) -> Self {
        Self { ring: (0..databases).collect(), splits: Vec::new() }
    }

    /// How many databases are in use: the first so many.
    pub(super) fn used(&self) -> usize {
        self.ring.len() + self.splits.len()
    }

    /// With the next database; `None` if none has the number that is to be split.
    pub(super) fn wider(&self, how: Wider) -> Option<Self> {
        let (mut wider, next) = (self.clone(), self.used());
        match how {
            Wider::Add {} => wider.ring.push(next),
            Wider::Split { of } if of < next => wider.splits.push((of, next)),
            Wider::Split { .. } => return None,
        }
        Some(wider)
    }

    /// Whether it can be what we have written: databases from 0, each once, at least one of them on the ring.
    pub(super) fn is_whole(&self) -> bool {
        let mut all: Vec<usize> =
            self.ring.iter().copied().chain(self.splits.iter().map(|(_, to)| *to)).collect();
        all.sort_unstable();
        let known = |of: &usize| *of < self.used();
        !self.ring.is_empty()
            && all.into_iter().eq(0..self.used())
            && self.splits.iter().all(|(of, _)| known(of))
    }
}

/// A layout that is asked often.
pub(super) struct Map {
    pub(super) layout: Layout,
    points: Vec<(u64, usize)>,
}

impl Map {
    pub(super) fn of(layout: Layout) -> Self {
        let points_of = |database: &usize| {
            let database = *database;
            (0..POINTS).map(move |point| (hash("point", &[database as u64, point]), database))
        };
        let mut points: Vec<_> = layout.ring.iter().flat_map(points_of).collect();
        points.sort_unstable();
        Self { layout, points }
    }

    /// Who has this customer's orders.
    pub(super) fn owner(&self, customer: UserId) -> usize {
        let (high, low) = customer.0.as_u64_pair();
        let at = hash("customer", &[high, low]);
        let behind = self.points.partition_point(|(point, _)| *point < at);
        let point = self.points.get(behind).or_else(|| self.points.first());
        let mut owner = point.map_or(0, |(_, database)| *database);
        for (level, (of, to)) in self.layout.splits.iter().enumerate() {
            // Another coin for each split, so that one that was split can be split again.
            if owner == *of && hash("split", &[level as u64, high, low]) & 1 == 1 {
                owner = *to;
            }
        }
        owner
    }
}

/// The first eight bytes of SHA-256 over a word and numbers, big endian all.
fn hash(word: &str, numbers: &[u64]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(word);
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Which of so many databases has what is found by this name; nobody moves it.
pub(super) fn place(name: &str, databases: usize) -> usize {
    (hash(name, &[]) % databases.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const CUSTOMERS: u128 = 20_000;

    fn owners(layout: &Layout) -> Vec<usize> {
        let map = Map::of(layout.clone());
        (0..CUSTOMERS)
            .map(|n| map.owner(UserId(Uuid::from_u128((n << 64) | (n * 7_919)))))
            .collect()
    }

    fn share(owners: &[usize], of: usize) -> f64 {
        owners.iter().filter(|owner| **owner == of).count() as f64 / owners.len() as f64
    }

    #[test]
    fn one_more_takes_its_part_from_all_and_moves_nothing_else() {
        for databases in 1..=8 {
            let before = Layout::over(databases);
            let after = before.wider(Wider::Add {}).unwrap();
            assert_eq!(after, Layout::over(databases + 1), "as if it had always been there");
            let (old, new) = (owners(&before), owners(&after));
            let moved = old.iter().zip(&new).filter(|(old, new)| old != new);
            assert!(moved.clone().all(|(_, new)| *new == databases), "{databases}");
            let (moved, part) =
                (moved.count() as f64 / old.len() as f64, 1.0 / (databases + 1) as f64);
            assert!((moved / part - 1.0).abs() < 0.1, "{databases}: {moved} of {part}");
            for database in 0..=databases {
                let has = share(&new, database);
                assert!((has / part - 1.0).abs() < 0.12, "{databases}: {database} has {has}");
            }
        }
    }

    #[test]
    fn who_is_split_gives_half_to_the_next_and_can_be_split_again() {
        let mut layout = Layout::over(4);
        let mut old = owners(&layout);
        for (of, next) in [(1, 4), (1, 5), (4, 6)] {
            let before = share(&old, of);
            layout = layout.wider(Wider::Split { of }).unwrap();
            let new = owners(&layout);
            let moved = old.iter().zip(&new).filter(|(old, new)| old != new);
            assert!(moved.clone().all(|(from, to)| (*from, *to) == (of, next)));
            let half = share(&new, next) / before;
            assert!((half - 0.5).abs() < 0.05, "{of}: {half}");
            old = new;
        }
        assert_eq!(layout.used(), 7);
        assert!(layout.is_whole());
        assert_eq!(layout.wider(Wider::Split { of: 7 }), None);
        let ring = layout.wider(Wider::Add {}).unwrap();
        assert_eq!(ring.ring, [0, 1, 2, 3, 7]);
        assert!(ring.is_whole());
    }

    /// What is kept on disks was placed by these.
    #[test]
    fn places_are_the_same_for_ever() {
        let layout = Layout::over(4).wider(Wider::Split { of: 2 }).unwrap();
        let map = Map::of(layout);
        let owners = (0..12).map(|n| map.owner(UserId(Uuid::from_u128(n))));
        assert_eq!(owners.collect::<Vec<_>>(), [3, 0, 0, 1, 3, 4, 0, 3, 1, 1, 0, 1]);
        let places = (0..8).map(|n| place(&format!("key-{n}"), 4));
        assert_eq!(places.collect::<Vec<_>>(), [0, 3, 1, 2, 2, 2, 1, 3]);
    }

    #[test]
    fn what_we_never_write_is_not_whole() {
        let of = |ring: &[usize], splits: &[(usize, usize)]| {
            Layout { ring: ring.to_vec(), splits: splits.to_vec() }.is_whole()
        };
        assert!(of(&[0, 1], &[(1, 2)]));
        assert!(!of(&[], &[]));
        assert!(!of(&[0, 2], &[]));
        assert!(!of(&[0, 0], &[]));
        assert!(!of(&[0, 1], &[(3, 2)]));
        assert!(!of(&[0, 1], &[(0, 1)]));
    }
}

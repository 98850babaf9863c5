//! Who gets a request. It knows no socket and no clock.

use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Places that each replica has on the ring: with 160, shares differ by a twelfth or so.
const PLACES: usize = 160;
/// How much more than its share a replica may have under way before a key goes to the next one (Mirrokni and others,
/// arXiv 1608.01350; HAProxy advises 1.25 to 2).
const BOUND: f64 = 1.25;

/// How a replica is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// One after the other.
    RoundRobin,
    /// Of two that are drawn, who has fewer requests under way.
    TwoChoices,
    /// Requests alike in this header to the same one, by consistent hashing with bounded load; those without it as by
    /// two choices.
    Hash {
        /// The header, in lower case.
        header: String,
    },
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "round-robin" => Ok(Self::RoundRobin),
            None if text == "two-choices" => Ok(Self::TwoChoices),
            Some(("hash", header)) if !header.is_empty() => {
                Ok(Self::Hash { header: header.to_ascii_lowercase() })
            }
            _ => Err("expected round-robin, two-choices or hash:HEADER".to_owned()),
        }
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RoundRobin => f.write_str("round robin"),
            Self::TwoChoices => f.write_str("of two the one with fewer under way"),
            Self::Hash { header } => {
                write!(f, "consistent hashing of {header}, load at most {BOUND} of the mean")
            }
        }
    }
}

/// A number for some bytes: the same in every process.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(bytes));
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Replicas around a ring, each at many places.
#[derive(Debug)]
pub(crate) struct Ring(Vec<(u64, usize)>);

impl Ring {
    /// Of replicas with these names.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let places = |(index, name): (usize, &'a str)| {
            (0..PLACES).map(move |place| (hash(format!("{name} {place}").as_bytes()), index))
        };
        let mut ring: Vec<_> = names.into_iter().enumerate().flat_map(places).collect();
        ring.sort_unstable();
        Self(ring)
    }

    /// The replicas behind this key, the nearest first; some more than once.
    fn from(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        let first = self.0.partition_point(|(place, _)| *place < key);
        self.0[first..].iter().chain(&self.0[..first]).map(|(_, index)| *index)
    }
}

/// What is known of the replicas when one is chosen: of those that may be, how much they have under way.
pub(crate) struct Choice<'a> {
    pub(crate) loads: &'a [Option<usize>],
    pub(crate) ring: &'a Ring,
    pub(crate) key: Option<u64>,
    /// How many were chosen before.
    pub(crate) turn: usize,
}

impl Choice<'_> {
    /// Who gets it; none if nobody may. `draw` gives a number below its argument.
    pub(crate) fn make(
        &self,
        policy: &Policy,
        mut draw: impl FnMut(usize) -> usize,
    ) -> Option<usize> {
        let usable = self.loads.iter().flatten().count();
        if usable == 0 {
            return None;
        }
        match (policy, self.key) {
            (Policy::RoundRobin, _) => self.nth(self.turn % usable),
            (Policy::Hash { .. }, Some(key)) => self.nearest(key, usable),
            (Policy::TwoChoices, _) | (Policy::Hash { .. }, None) => {
                let one = draw(usable);
                // Of the others.
                let other = if usable > 1 { (one + 1 + draw(usable - 1)) % usable } else { one };
                let (one, other) = (self.nth(one)?, self.nth(other)?);
                Some(if self.loads[other] < self.loads[one] { other } else { one })
            }
        }
    }

    /// The n-th of those that may be chosen, from 0.
    fn nth(&self, n: usize) -> Option<usize> {
        let usable = self.loads.iter().enumerate().filter(|(_, load)| load.is_some());
        usable.map(|(index, _)| index).nth(n)
    }

    fn nearest(&self, key: u64, usable: usize) -> Option<usize> {
        let all: usize = self.loads.iter().flatten().sum();
        let most = (BOUND * (all + 1) as f64 / usable as f64).ceil() as usize;
        let has_room = |index: &usize| self.loads[*index].is_some_and(|load| load < most);
        self.ring.from(key).find(has_room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice<'a>(loads: &'a [Option<usize>], ring: &'a Ring) -> Choice<'a> {
        Choice { loads, ring, key: None, turn: 0 }
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("127.0.0.1:{}", 7_000 + n)).collect()
    }

    fn ring(count: usize) -> Ring {
        Ring::of(names(count).iter().map(String::as_str))
    }

    #[test]
    fn round_robin_goes_around_those_that_may_be_chosen() {
        let ring = ring(3);
        let of = |loads: &[Option<usize>]| {
            let at =
                |turn| Choice { turn, ..choice(loads, &ring) }.make(&Policy::RoundRobin, |_| 0);
            (0..4).map(at).collect::<Vec<_>>()
        };
        assert_eq!(of(&[Some(9), Some(0), Some(0)]), [Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(of(&[Some(9), None, Some(0)]), [Some(0), Some(2), Some(0), Some(2)]);
        assert_eq!(of(&[None, None, None]), [None; 4]);
    }

    #[test]
    fn of_two_that_are_drawn_the_idler_one_is_taken() {
        let ring = ring(3);
        let loads = [Some(5), Some(1), Some(3)];
        let drawn = |draws: [usize; 2]| {
            let mut draws = draws.into_iter();
            choice(&loads, &ring).make(&Policy::TwoChoices, |_| draws.next().unwrap())
        };
        assert_eq!(
            [drawn([0, 0]), drawn([0, 1]), drawn([1, 0]), drawn([2, 1])],
            [Some(1), Some(2), Some(1), Some(1)]
        );
        let one = choice(&[None, Some(7), None], &ring).make(&Policy::TwoChoices, |_| 0);
        assert_eq!(one, Some(1));
    }

    fn owner(key: u64, loads: &[Option<usize>], ring: &Ring) -> usize {
        let policy = Policy::Hash { header: "authorization".to_owned() };
        Choice { key: Some(key), ..choice(loads, ring) }.make(&policy, |_| 0).unwrap()
    }

    #[test]
    fn a_key_stays_where_it_is_and_few_move_when_one_more_is_there() {
        const KEYS: u64 = 20_000;
        let (four, five) = (ring(4), ring(5));
        let key = |n: u64| hash(&n.to_le_bytes());
        // Idle ones: the bound is one request each.
        let (idle, idle_five) = ([Some(0); 4], [Some(0); 5]);
        let mut counts = [0; 4];
        let mut moved = 0;
        for n in 0..KEYS {
            let before = owner(key(n), &idle, &four);
            counts[before] += 1;
            let after = owner(key(n), &idle_five, &five);
            assert!(after == before || after == 4, "a key moves to the new one alone");
            moved += u64::from(after != before);
        }
        for count in counts {
            assert!((4_000..6_000).contains(&count), "{counts:?}");
        }
        assert!(
            (KEYS * 15 / 100..KEYS / 4).contains(&moved),
            "{moved} of {KEYS} moved, a fifth is expected"
        );
        let without = [Some(0), None, Some(0), Some(0)];
        let stays = |n: u64| {
            let before = owner(key(n), &idle, &four);
            before == 1 || owner(key(n), &without, &four) == before
        };
        assert!((0..KEYS).all(stays), "who is away costs nobody else's key");
    }

    #[test]
    fn nobody_gets_more_than_a_quarter_above_the_mean() {
        let ring = ring(4);
        let mut loads = [Some(0); 4];
        // One key that everybody wants.
        for _ in 0..400 {
            let index = owner(7, &loads, &ring);
            loads[index] = loads[index].map(|load| load + 1);
        }
        assert!(loads.iter().all(|load| load.is_some_and(|load| load <= 126)), "{loads:?}");
    }

    #[test]
    fn policies_are_read_and_told() {
        assert_eq!("round-robin".parse(), Ok(Policy::RoundRobin));
        assert_eq!(
            "hash:Authorization".parse(),
            Ok(Policy::Hash { header: "authorization".to_owned() })
        );
        for bad in ["", "hash:", "hash", "least"] {
            assert!(bad.parse::<Policy>().is_err(), "{bad}");
        }
    }
}

//! What is to be expected, before anything is run: whether a server that is slow for a while comes back, if those who ask
//! it give up after a while and ask again. A model by events, from parameters alone. It knows no record.
//!
//! The server has so many clerks and one line, first come, first served, and works on what was given up as on
//! anything else. Work takes as long as it would have when it came. Nothing else takes any time: no network, no disk.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

/// From when to when, s.
pub type Part = (f64, f64);

/// The parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storm {
    /// Arrivals a second.
    pub load_per_s: f64,
    /// Whether they come evenly, rather than independently of each other.
    pub even: bool,
    /// How many are worked on at once.
    pub at_once: u32,
    /// How long the work on one takes, s.
    pub work_s: f64,
    /// The same while the trigger lasts.
    pub slow_work_s: f64,
    /// The trigger.
    pub trigger: Part,
    /// After how long an attempt is given up, s; the next one follows at once.
    pub timeout_s: f64,
    /// How many attempts there are.
    pub attempts: u32,
    /// The arrivals before the trigger, and those after it, that are set against each other.
    pub around: [Part; 2],
}

impl Storm {
    /// In what share of so many seeds fewer than half as many are served in time after the trigger as before it.
    #[must_use]
    pub fn stuck_share(&self, seeds: u32) -> f64 {
        let stuck = (0..seeds).filter(|seed| self.is_stuck(u64::from(*seed))).count();
        stuck as f64 / f64::from(seeds.max(1))
    }

    fn is_stuck(&self, seed: u64) -> bool {
        let served = self.served(seed);
        let rate = |(from, to): Part| {
            let inside = served.iter().filter(|at| (from..to).contains(*at)).count();
            inside as f64 / (to - from)
        };
        let [before, after] = self.around.map(rate);
        after < before / 2.0
    }

    /// When those arrived who were served in time, by one of their attempts.
    fn served(&self, seed: u64) -> Vec<f64> {
        let mut coming: BinaryHeap<Reverse<Attempt>> =
            self.arrivals(seed).into_iter().map(Reverse).collect();
        let mut free_at = vec![0.0; self.at_once.max(1) as usize];
        let mut served = Vec::new();
        while let Some(Reverse(attempt)) = coming.pop() {
            let Attempt { at_s, number, arrived_s } = attempt;
            let is_slow = (self.trigger.0..self.trigger.1).contains(&at_s);
            let work_s = if is_slow { self.slow_work_s } else { self.work_s };
            free_at.sort_by(f64::total_cmp);
            let done_s = free_at[0].max(at_s) + work_s;
            free_at[0] = done_s;
            let late_s = at_s + self.timeout_s;
            if done_s < late_s {
                served.push(arrived_s);
            } else if number < self.attempts {
                coming.push(Reverse(Attempt { at_s: late_s, number: number + 1, arrived_s }));
            }
        }
        served
    }

    fn arrivals(&self, seed: u64) -> Vec<Attempt> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (end_s, mut at_s, mut all) = (self.around[1].1, 0.0, Vec::new());
        loop {
            let gap: f64 = if self.even { 1.0 } else { Exp1.sample(&mut random) };
            at_s += gap / self.load_per_s;
            if at_s.is_nan() || at_s >= end_s {
                return all;
            }
            all.push(Attempt { at_s, number: 1, arrived_s: at_s });
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    at_s: f64,
    number: u32,
    arrived_s: f64,
}

impl PartialEq for Attempt {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Attempt {}

impl PartialOrd for Attempt {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Attempt {
    /// By its instant; of one instant the first to arrive.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at_s.total_cmp(&other.at_s).then(self.arrived_s.total_cmp(&other.arrived_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The setting of moonpool's pull request 193, but for the length of load.
    const PUBLISHED: Storm = Storm {
        load_per_s: 50.0,
        even: true,
        at_once: 4,
        work_s: 0.025,
        slow_work_s: 0.1,
        trigger: (2.0, 2.65),
        timeout_s: 0.2,
        attempts: 4,
        around: [(1.0, 2.0), (4.0, 6.0)],
    };

    fn share(lasts_s: f64, load_per_s: f64) -> f64 {
        let trigger = (2.0, 2.0 + lasts_s);
        Storm { trigger, load_per_s, even: false, ..PUBLISHED }.stuck_share(200)
    }

    /// 0, 0, 31 and 64 of 64 seeds were stuck there, whose network took a little time.
    #[test]
    fn the_published_edge_lies_where_it_was_published() {
        for (lasts_s, stuck) in [(0.5, false), (0.6, false), (0.65, true), (0.7, true), (2.0, true)]
        {
            let trigger = (2.0, 2.0 + lasts_s);
            let after = [(1.0, 2.0), (2.0 + lasts_s + 2.0, 2.0 + lasts_s + 4.0)];
            let storm = Storm { trigger, around: after, ..PUBLISHED };
            assert_eq!(storm.is_stuck(1), stuck, "{lasts_s} s");
        }
    }

    #[test]
    fn who_asks_once_is_never_stuck_and_who_asks_less_than_the_capacity_comes_back() {
        assert!(!Storm { attempts: 1, ..PUBLISHED }.is_stuck(1));
        // 4 × 39 is less than 160.
        assert!(!Storm { load_per_s: 39.0, ..PUBLISHED }.is_stuck(1));
        let slow = (2.0, 2.9);
        assert!(!Storm { load_per_s: 39.0, trigger: slow, ..PUBLISHED }.is_stuck(1));
    }

    #[test]
    fn it_is_stuck_the_more_often_the_longer_the_trigger_and_the_greater_the_load() {
        let map: Vec<Vec<f64>> = [40.0, 50.0, 60.0]
            .map(|load| [0.3, 0.5, 0.7].map(|lasts_s| share(lasts_s, load)).to_vec())
            .to_vec();
        for row in &map {
            assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{map:?}");
        }
        for pair in map.windows(2) {
            assert!(pair[0].iter().zip(&pair[1]).all(|(less, more)| less <= more), "{map:?}");
        }
        assert!(map[0][0] < 0.1 && map[2][2] > 0.85, "{map:?}");
    }
}

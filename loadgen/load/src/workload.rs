//! What each request asks for: the n-th operation, from a seed. Pure; it knows no HTTP.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use record::{Known, Operation};
use scenario::Mix;

/// One line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The article's number.
    pub sku: u32,
    /// How many.
    pub quantity: u32,
    /// The price of one, cents.
    pub price_cents: u32,
}

/// One request: who does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its place in the schedule, from 0.
    pub seq: u64,
    /// What is done.
    pub operation: Operation,
    /// By whom.
    pub customer: u32,
    /// Place: what is ordered. Get: `quantity` of the first item says how many orders back.
    items: [Item; 3],
    count: u8,
    /// Get, cancel: the order that was chosen when the request was written.
    pub about: Option<Known>,
}

impl Job {
    /// What is ordered.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items[..usize::from(self.count)]
    }

    /// The order's sum, cents.
    #[must_use]
    pub fn amount_cents(&self) -> i64 {
        self.items().iter().map(|i| i64::from(i.quantity) * i64::from(i.price_cents)).sum()
    }

    /// The same customer looks up his newest order.
    #[must_use]
    pub(crate) fn look_up(mut self) -> Self {
        self.operation = Operation::Get;
        self.items[0].quantity = 0;
        self
    }

    /// Get, cancel: which of the customer's orders, counted from the newest.
    #[must_use]
    pub fn back(&self) -> usize {
        match self.operation {
            // Who cancels has just ordered.
            Operation::Cancel => 0,
            _ => self.items[0].quantity as usize,
        }
    }
}

/// The endless sequence of jobs of a seed.
#[derive(Debug)]
pub struct Workload {
    rng: ChaCha8Rng,
    mix: Mix,
    /// Until when, ns, another mix is asked for; then the next of them, and after the last the first mix again.
    mixes: Vec<(u64, Mix)>,
    customers: u32,
    seq: u64,
}

/// Schedule and operations draw from different streams of one seed.
const STREAM: u64 = 0x6f70_6572_6174_696f;

impl Workload {
    /// The jobs of this mix among this many customers.
    #[must_use]
    pub fn new(mix: Mix, customers: u32, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STREAM);
        Self { rng, mix, mixes: Vec::new(), customers, seq: 0 }
    }

    /// The same, with another mix until each of these instants, ns since second 0, ascending.
    #[must_use]
    pub fn with_mixes(self, mixes: Vec<(u64, Mix)>) -> Self {
        Self { mixes, ..self }
    }

    /// The next job, of the mix in force at this instant.
    pub(crate) fn at(&mut self, at_ns: u64) -> Job {
        let in_force = self.mixes.iter().find(|(until_ns, _)| at_ns < *until_ns);
        self.drawn(in_force.map_or(self.mix, |(_, mix)| *mix))
    }

    fn drawn(&mut self, mix: Mix) -> Job {
        let operation = self.operation(mix);
        let customer = self.rng.random_range(0..self.customers);
        let job = self.job(operation, customer);
        self.seq += 1;
        job
    }

    /// A job of this kind that belongs to no schedule (preparation before the load).
    pub fn job(&mut self, operation: Operation, customer: u32) -> Job {
        let mut item = || Item {
            sku: self.rng.random_range(0..1_000),
            quantity: self.rng.random_range(1..=3),
            price_cents: self.rng.random_range(100..10_000),
        };
        let items = [item(), item(), item()];
        let count = self.rng.random_range(1..=3);
        Job { seq: self.seq, operation, customer, items, count, about: None }
    }

    fn operation(&mut self, mix: Mix) -> Operation {
        let weights = mix.weights();
        let mut left = self.rng.random::<f64>() * weights.iter().map(|(_, w)| w).sum::<f64>();
        for (operation, weight) in weights {
            if left < weight {
                return operation;
            }
            left -= weight;
        }
        weights.iter().rev().find(|(_, w)| *w > 0.0).map_or(Operation::Place, |(o, _)| *o)
    }
}

impl Iterator for Workload {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        Some(self.drawn(self.mix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix() -> Mix {
        let orders = Mix { place: 70.0, get: 28.0, ..Mix::default() };
        Mix { login: 1.5, signup: 0.5, ..orders }
    }

    #[test]
    fn shares_follow_the_weights() {
        let jobs: Vec<Job> = Workload::new(mix(), 7, 1).take(100_000).collect();
        for (operation, share) in [
            (Operation::Place, 0.70),
            (Operation::Get, 0.28),
            (Operation::Login, 0.015),
            (Operation::Signup, 0.005),
        ] {
            let found = jobs.iter().filter(|j| j.operation == operation).count() as f64 / 1e5;
            // five standard deviations of a binomial share
            let bound = 5.0 * (share * (1.0 - share) / 1e5_f64).sqrt();
            assert!((found - share).abs() < bound, "{operation:?}: {found} instead of {share}");
        }
        assert!(jobs.iter().all(|j| j.customer < 7 && (1..=3).contains(&j.items().len())));
        assert!(jobs.iter().enumerate().all(|(n, j)| j.seq == n as u64));
    }

    #[test]
    fn a_mix_is_in_force_until_its_instant_and_changes_nothing_else() {
        let logins = Mix { login: 1.0, ..Mix::default() };
        let mut plain = Workload::new(mix(), 7, 1);
        let mut mixed = Workload::new(mix(), 7, 1).with_mixes(vec![(100, mix()), (200, logins)]);
        for at_ns in 0..1_000 {
            let (plain, mixed) = (plain.at(at_ns), mixed.at(at_ns));
            if (100..200).contains(&at_ns) {
                assert_eq!(mixed, Job { operation: Operation::Login, ..plain });
            } else {
                assert_eq!(mixed, plain, "{at_ns}");
            }
        }
    }

    #[test]
    fn the_same_seed_asks_for_the_same() {
        let take = |seed| Workload::new(mix(), 7, seed).take(1_000).collect::<Vec<_>>();
        assert_eq!(take(3), take(3));
        assert_ne!(take(3), take(4));
    }
}

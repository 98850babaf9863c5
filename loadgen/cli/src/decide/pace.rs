//! How fast a run of claims goes. It knows no claim.

use tokio::time::Instant;

use crate::run::under_way::{Place, UnderWay};

/// How fast it goes.
pub(super) struct Pace {
    begun: Instant,
    trials: usize,
    load_s: f64,
}

impl Pace {
    pub(super) fn begun() -> Self {
        Self { begun: Instant::now(), trials: 0, load_s: 0.0 }
    }

    /// These are run now.
    pub(super) fn takes(&mut self, places: &[Place<'_>]) {
        self.trials += places.len();
        self.load_s +=
            places.iter().map(|place| place.experiment.scenario.duration_s()).sum::<f64>();
    }

    pub(super) fn spent_s(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// What a trial takes beside its load, s: waits for a quiet machine and trials that were run again are in it.
    pub(super) fn beside_s(&self, under_way: &UnderWay<'_>) -> f64 {
        match self.trials {
            0 => under_way.beside_s(),
            trials => (self.spent_s() - self.load_s).max(0.0) / trials as f64,
        }
    }
}

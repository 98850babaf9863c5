//! How long the rest of a run takes, told by what its trials took beside their loads. It knows no trial.

use std::time::Duration;

/// Start, drain and record of a trial, before one has shown it.
const FIRST_GUESS_S: f64 = 6.0;

/// What finished trials took.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    beside_load_s: f64,
    trials: u32,
}

impl Ahead {
    /// A trial of so much load took so long.
    pub(super) fn took(&mut self, load_s: f64, whole: Duration) {
        self.beside_load_s += (whole.as_secs_f64() - load_s).max(0.0);
        self.trials += 1;
    }

    /// What trials of these loads will take, s.
    pub(super) fn expected_s(&self, loads_s: impl Iterator<Item = f64>) -> f64 {
        let each_s = match self.trials {
            0 => FIRST_GUESS_S,
            trials => self.beside_load_s / f64::from(trials),
        };
        loads_s.map(|load_s| load_s + each_s).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_by_what_trials_took() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.expected_s([30.0, 60.0].into_iter()), 102.0);
        ahead.took(30.0, Duration::from_secs(32));
        ahead.took(30.0, Duration::from_secs(34));
        assert_eq!(ahead.expected_s([30.0, 60.0].into_iter()), 96.0);
        assert_eq!(ahead.expected_s(std::iter::empty()), 0.0);
    }
}

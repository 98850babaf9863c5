//! Trials grouped as they are compared: by scenario, then by system. A trial that may not be
//! believed never enters a median and never stands unmarked.

use record::read::{Run, Trial};
use record::{FaultRow, Manifest, Phase};

use super::figures::Figure;
use super::words;

/// All of a run.
pub(super) struct Comparison<'r> {
    /// In the order of their first trials.
    pub(super) scenarios: Vec<Scenario<'r>>,
}

/// One scenario on every system that met it.
pub(super) struct Scenario<'r> {
    /// Its name.
    pub(super) name: &'r str,
    /// Its own sentence.
    pub(super) about: &'r str,
    /// In the order of the run's list.
    pub(super) contestants: Vec<Contestant<'r>>,
}

/// One system under one scenario.
pub(super) struct Contestant<'r> {
    /// Its name.
    pub(super) name: &'r str,
    /// Its place in the run's list.
    pub(super) order: u32,
    /// All of its trials, also those that may not be believed.
    pub(super) trials: Vec<&'r Trial>,
}

/// A value over trials: never one without the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// The median.
    pub(super) median: f64,
    /// The smallest.
    pub(super) lo: f64,
    /// The largest.
    pub(super) hi: f64,
    /// The median of the lower ends: below it no disturbance of the measuring machine can bring it.
    pub(super) least: f64,
    /// The median of the upper ends.
    pub(super) most: f64,
    /// Of how many trials.
    pub(super) n: usize,
}

impl<'r> Comparison<'r> {
    /// Groups the trials of `run`, which come sorted.
    pub(super) fn of(run: &'r Run) -> Self {
        let same = |a: &Trial, b: &Trial| a.manifest.scenario == b.manifest.scenario;
        let mut scenarios: Vec<_> = run.trials.chunk_by(same).map(Scenario::of).collect();
        scenarios.sort_by_key(|scenario| (scenario.started_at_us(), scenario.name));
        Self { scenarios }
    }

    /// The systems of all scenarios with their order, each once.
    pub(super) fn systems(&self) -> Vec<(u32, &'r str)> {
        let all = self.scenarios.iter().flat_map(|scenario| &scenario.contestants);
        let mut systems: Vec<_> = all.map(|one| (one.order, one.name)).collect();
        systems.sort_unstable();
        systems.dedup();
        systems
    }
}

impl<'r> Scenario<'r> {
    fn of(trials: &'r [Trial]) -> Self {
        let same = |a: &Trial, b: &Trial| a.manifest.system == b.manifest.system;
        Self {
            name: &trials[0].manifest.scenario,
            about: &trials[0].manifest.scenario_about,
            contestants: trials.chunk_by(same).map(Contestant::of).collect(),
        }
    }

    /// One trial by itself.
    pub(super) fn alone(trial: &'r Trial) -> Self {
        Self::of(std::slice::from_ref(trial))
    }

    fn started_at_us(&self) -> i64 {
        let trials = self.contestants.iter().flat_map(|one| &one.trials);
        trials.map(|trial| trial.manifest.started_at_us).min().unwrap_or_default()
    }

    /// The settings that its trials share.
    pub(super) fn manifest(&self) -> &'r Manifest {
        &self.contestants[0].trials[0].manifest
    }

    /// The parts that statistics are kept for.
    pub(super) fn phases(&self) -> &'r [Phase] {
        &self.manifest().phases
    }

    /// The phase to look at first: `during` if there is one, else the first that a fault strikes, else the first.
    pub(super) fn main_phase(&self) -> Option<&'r Phase> {
        let phases = self.phases();
        let during = phases.iter().find(|phase| phase.name == "during");
        let is_struck = |phase: &&Phase| {
            let times = f64::from(phase.from_s)..f64::from(phase.to_s);
            self.faults().iter().any(|fault| times.contains(&fault.commanded_s))
        };
        during.or_else(|| phases.iter().find(is_struck)).or_else(|| phases.first())
    }

    /// The last instant of any trial's time series, seconds.
    pub(super) fn end_s(&self) -> f64 {
        let trials = self.contestants.iter().flat_map(|one| &one.trials);
        let ends = trials.filter_map(|trial| {
            let last = trial.timeline.iter().map(|row| row.t_s).max()?;
            Some(last + trial.manifest.interval_s.max(1))
        });
        f64::from(ends.max().unwrap_or(0).max(self.manifest().duration_s).max(1))
    }

    /// The faults, as the first trial that has any knows them.
    pub(super) fn faults(&self) -> &'r [FaultRow] {
        let mut trials = self.contestants.iter().flat_map(|one| &one.trials);
        trials.find(|trial| !trial.faults.is_empty()).map_or(&[], |trial| &trial.faults)
    }

    /// What is done: "Placing an order".
    pub(super) fn act(&self) -> &'static str {
        if self.is_shop() { "Placing an order" } else { "A request" }
    }

    /// What is counted, in the plural: "orders".
    pub(super) fn things(&self) -> &'static str {
        if self.is_shop() { "orders" } else { "requests" }
    }

    /// The same, done: "orders placed".
    pub(super) fn things_done(&self) -> &'static str {
        if self.is_shop() { "orders placed" } else { "requests made" }
    }

    /// Whether orders were placed, rather than requests of any kind made.
    pub(super) fn is_shop(&self) -> bool {
        self.contestants[0].trials[0].has_orders()
    }

    /// What the systems had to bear: "while the payments role is dead for 15 s".
    pub(super) fn circumstance(&self) -> String {
        words::circumstance(self.manifest(), self.faults())
    }
}

impl<'r> Contestant<'r> {
    fn of(trials: &'r [Trial]) -> Self {
        Self {
            name: &trials[0].manifest.system,
            order: trials[0].manifest.system_order,
            trials: trials.iter().collect(),
        }
    }

    /// The trials that may be believed.
    pub(super) fn trusted(&self) -> Vec<&'r Trial> {
        self.trials.iter().copied().filter(|trial| trusted(trial)).collect()
    }

    /// The trials to draw: those that may be believed, or all (under a mark) if none may.
    pub(super) fn shown(&self) -> Vec<&'r Trial> {
        let trusted = self.trusted();
        if trusted.is_empty() { self.trials.clone() } else { trusted }
    }

    /// How many of its trials are used: "3", or "2 of 3".
    pub(super) fn number(&self) -> String {
        let (used, all) = (self.trusted().len(), self.trials.len());
        if used == all { used.to_string() } else { format!("{used} of {all}") }
    }

    /// `value` over the trials that may be believed.
    pub(super) fn spread<F: Into<Figure>>(
        &self,
        value: impl Fn(&Trial) -> Option<F>,
    ) -> Option<Spread> {
        Spread::of(self.trusted().into_iter().filter_map(value).collect())
    }
}

impl Spread {
    /// Over `values`; `None` if there are none.
    pub(super) fn of<F: Into<Figure>>(values: Vec<F>) -> Option<Self> {
        let figures: Vec<Figure> = values.into_iter().map(Into::into).collect();
        let sorted = |end: fn(&Figure) -> f64| {
            let mut ends: Vec<f64> = figures.iter().map(end).collect();
            ends.sort_by(f64::total_cmp);
            ends
        };
        let values = sorted(|figure| figure.value);
        let (lo, hi) = (*values.first()?, *values.last()?);
        let [median, least, most] =
            [values, sorted(|figure| figure.least), sorted(|figure| figure.most)].map(median);
        Some(Self { median, lo, hi, least, most, n: figures.len() })
    }

    /// In words: plain while its ends agree, else between which ends it is, or under which one.
    pub(super) fn told(&self, text: impl Fn(f64) -> String) -> String {
        if self.is_plain() {
            return text(self.median);
        }
        let (least, most) = (text(self.least), text(self.most));
        if self.least * FAR < self.most {
            return if self.most.is_finite() {
                format!("≤ {most}")
            } else {
                format!("≥ {least}")
            };
        }
        format!("{} to {most}", words::without_unit(&least, &most))
    }

    /// Whether a disturbance of the measuring machine cannot have changed it by more than a reader sees.
    pub(super) fn is_plain(&self) -> bool {
        // Infinite ends are equal ends.
        let width = self.most - self.least;
        self.least == self.most || (width.is_finite() && width <= AGREE * self.most.abs())
    }
}

/// Ends that are further apart say little of what is between them.
const FAR: f64 = 10.0;
/// Ends that agree within this part of the upper one are told as one.
const AGREE: f64 = 0.05;

/// Of sorted values, some of which there are.
fn median(values: Vec<f64>) -> f64 {
    let n = values.len();
    let (low, high) = (values[(n - 1) / 2], values[n / 2]);
    if low == high { low } else { f64::midpoint(low, high) }
}

/// Whether a trial's numbers may be used.
pub(super) fn trusted(trial: &Trial) -> bool {
    let validity = &trial.manifest.validity;
    validity.valid && !validity.interrupted && !trial.is_laid_aside()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_keeps_its_ends_and_its_number() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 3.0]);
        let (least, most) = (2.5, 2.5);
        assert_eq!(spread, Some(Spread { median: 2.5, lo: 1.0, hi: 4.0, least, most, n: 4 }));
        assert_eq!(Spread::of(Vec::<f64>::new()), None);
    }

    #[test]
    fn a_value_is_plain_while_its_ends_agree_within_5_percent() {
        let spread = |least, most| Spread::of(vec![Figure { value: most, least, most }]).unwrap();
        assert!(spread(95.0, 100.0).is_plain());
        assert!(!spread(94.9, 100.0).is_plain());
        assert!(spread(f64::INFINITY, f64::INFINITY).is_plain());
        assert!(!spread(3.0, f64::INFINITY).is_plain());
        assert!(spread(0.0, 0.0).is_plain());
        let told = |least, most| spread(least, most).told(words::millis);
        assert_eq!(told(95.0, 100.0), "100 ms");
        assert_eq!(told(12.0, 24.0), "12 to 24 ms");
        assert_eq!(told(0.4, 24.0), "≤ 24 ms");
        assert_eq!(told(3.0, f64::INFINITY), "≥ 3 ms");
    }

    #[test]
    fn what_happens_under_a_fault_comes_before_what_was_before_it() {
        let mut trial = Trial::default();
        let phase = |name: &str, from_s, to_s| Phase { name: name.to_owned(), from_s, to_s };
        trial.manifest.phases = vec![phase("before", 0, 8), phase("killed", 8, 14)];
        let main = |trial: &Trial| {
            Scenario::alone(trial).main_phase().map(|phase| phase.name.clone()).unwrap_or_default()
        };
        assert_eq!(main(&trial), "before", "nothing strikes");
        trial.faults.push(FaultRow { commanded_s: 8.0, ..FaultRow::default() });
        assert_eq!(main(&trial), "killed");
        trial.manifest.phases.push(phase("during", 14, 20));
        assert_eq!(main(&trial), "during");
    }

    #[test]
    fn an_invalid_trial_enters_no_median() {
        let mut good = Trial::default();
        good.manifest.validity.valid = true;
        let aside = Trial { folder: "steady/m/1-void-1".into(), ..good.clone() };
        assert!(trusted(&good) && !trusted(&aside), "one that was run again");
        let bad = Trial::default();
        let one = Contestant { name: "m", order: 0, trials: vec![&good, &bad] };
        assert_eq!(one.spread(|_| Some(1.0)).map(|spread| spread.n), Some(1));
        assert_eq!((one.number().as_str(), one.shown().len()), ("1 of 2", 1));
    }

    #[test]
    fn a_system_with_no_trial_to_believe_is_shown_with_all() {
        let mut stopped = Trial::default();
        stopped.manifest.validity.interrupted = true;
        let one = Contestant { name: "m", order: 0, trials: vec![&stopped] };
        assert_eq!(one.shown().len(), 1);
        assert_eq!(one.spread(|_| Some(1.0)), None);
    }
}

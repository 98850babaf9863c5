//! The search for a capacity: which rate is tried next, and what all trials together say.
//!
//! A single trial only points the way: the ramp doubles the rate until one breaks, bisection closes
//! in, then the two ends of the interval get their repetitions, and an end that does not hold moves
//! the interval. Pure: it knows no clock, no system and no file.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// An invalid trial is repeated; after this many at one rate that rate is not known.
pub const INVALID_AT_A_RATE_MAX: u32 = 3;
/// After this many invalid trials of one system the machine is not fit to measure on.
pub const INVALID_MAX: u32 = 12;
/// A search ends after this many trials, whatever it has found.
pub const TRIALS_MAX: u32 = 80;
/// From the first rate the search goes down by at most this factor.
const DOWN_MAX: u32 = 16;

/// How a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// The first rate, arrivals per second.
    pub from_per_s: u32,
    /// The highest rate that is tried.
    pub most_per_s: u32,
    /// Why not more.
    pub bound: Bound,
    /// The interval is at most this share of its lower end wide (or one arrival per second).
    pub resolution: f64,
    /// Valid trials that each end of the interval gets.
    pub trials: u32,
}

/// Why a search goes no higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Above it the numbers would be the generator's.
    Generator,
    /// It was asked for.
    Asked,
}

/// What one trial says of its rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judged {
    /// The system kept the objective.
    Kept,
    /// It did not.
    Broken,
    /// Chance may have made either of it: the window was too short to tell.
    Unclear,
    /// Instrument or machine failed: this says nothing of the system.
    #[default]
    Invalid,
}

/// What the trials of one rate said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Trials that kept the objective.
    pub kept: u32,
    /// Trials that did not.
    pub broken: u32,
    /// Trials that could not tell.
    pub unclear: u32,
    /// Trials that say nothing.
    pub invalid: u32,
}

/// A rate with its trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Arrivals per second.
    pub rate_per_s: u32,
    /// What they said.
    pub tally: Tally,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Both ends have their repetitions.
    Interval,
    /// The highest rate that may be tried is kept.
    AtLeast,
    /// The lowest rate that is tried is broken.
    Below,
    /// Trials of this length cannot tell where it breaks.
    Unclear,
    /// Trials that say nothing stand in the way.
    NotKnown,
    /// It was stopped, or spent all its trials.
    Unfinished,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How it ended.
    pub ending: Ending,
    /// Why no higher rate than the highest would have been tried.
    pub bound: Bound,
    /// The highest rate that is kept.
    pub kept: Option<Point>,
    /// The lowest rate above it that is broken, or of which nothing is known.
    pub broken: Option<Point>,
    /// Whether at a rate between them trials of this length could not tell: the interval is as wide as
    /// that.
    pub unclear: bool,
}

/// What is thought of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Untried,
    Kept,
    Broken,
    Unclear,
    Unknown,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    rules: Rules,
    tallies: BTreeMap<u32, Tally>,
}

impl Tally {
    /// Trials that say something.
    #[must_use]
    pub fn valid(&self) -> u32 {
        self.kept + self.broken + self.unclear
    }

    /// A tie is broken: half of the time is not kept. Without a majority for either nothing is told.
    fn majority(&self) -> View {
        if self.kept > self.broken + self.unclear {
            View::Kept
        } else if self.broken >= self.kept + self.unclear {
            View::Broken
        } else {
            View::Unclear
        }
    }

    /// Whether further trials could not change, or could not be had.
    fn is_final(&self, trials: u32) -> bool {
        self.valid() >= trials || self.invalid >= INVALID_AT_A_RATE_MAX
    }

    fn view(&self, trials: u32) -> View {
        let decided = self.kept.max(self.broken) * 2 > trials;
        match (self.valid(), self.is_final(trials)) {
            (0, false) => View::Untried,
            (valid, true) if valid < trials && !decided => View::Unknown,
            _ => self.majority(),
        }
    }
}

impl Search {
    /// A search that has seen nothing.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, tallies: BTreeMap::new() }
    }

    /// Lowers the highest rate, when the generator's bound has been measured.
    pub fn limit(&mut self, most_per_s: u32) {
        if most_per_s < self.rules.most_per_s {
            self.rules = Rules { most_per_s, bound: Bound::Generator, ..self.rules };
        }
    }

    /// Takes up a trial's judgement.
    pub fn add(&mut self, rate_per_s: u32, judged: Judged) {
        let tally = self.tallies.entry(rate_per_s).or_default();
        match judged {
            Judged::Kept => tally.kept += 1,
            Judged::Broken => tally.broken += 1,
            Judged::Unclear => tally.unclear += 1,
            Judged::Invalid => tally.invalid += 1,
        }
    }

    /// The rate of the next trial; `None` when the search is over.
    #[must_use]
    pub fn next(&self) -> Option<u32> {
        if self.is_spent() {
            return None;
        }
        let Rules { from_per_s, most_per_s, .. } = self.rules;
        let (low, high) = self.bracket();
        let unclear = self.unclear();
        let lowest = unclear.first().copied().or(high);
        let highest = unclear.last().copied().or(low);
        match (low, high) {
            (_, None) if highest.is_some_and(|rate| rate < most_per_s) => {
                Some(highest?.saturating_mul(2).min(most_per_s))
            }
            (None, None) if unclear.is_empty() => Some(from_per_s.min(most_per_s)),
            // Fewer arrivals would not help a machine that is not fit to measure on.
            (None, Some(high)) if self.view(high) == View::Unknown => None,
            (None, _) if lowest.is_some_and(|rate| rate > self.floor()) => {
                Some((lowest? / 2).max(self.floor()))
            }
            _ => self.close_in(low, high, &unclear),
        }
    }

    /// Between what is kept and what is broken, on both sides of what cannot be told; then the trials that
    /// are missing.
    fn close_in(&self, low: Option<u32>, high: Option<u32>, unclear: &[u32]) -> Option<u32> {
        let (first, last) = (unclear.first().copied(), unclear.last().copied());
        let below = low.zip(first.or(high));
        let above = last.or(low).zip(high).filter(|_| !unclear.is_empty());
        let gaps = [below, above].into_iter().flatten();
        let middle = gaps.filter_map(|(from, to)| self.between(from, to)).next();
        // Whichever has fewer trials, so that all meet the machine at about one time.
        let fewer = |rate: &u32| self.tally(*rate).valid();
        let missing = |rates: &mut dyn Iterator<Item = u32>| {
            rates.filter_map(|rate| self.unconfirmed(rate)).min_by_key(fewer)
        };
        middle
            .or_else(|| missing(&mut unclear.iter().copied()))
            .or_else(|| missing(&mut [low, high].into_iter().flatten()))
    }

    /// What is known now.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let (low, high) = self.bracket();
        let unclear = self.unclear();
        let point = |rate_per_s| Point { rate_per_s, tally: self.tally(rate_per_s) };
        let known = |rate| self.view(rate) != View::Unknown;
        let is_over = self.next().is_none() && !self.is_spent();
        let ending = match (low, high) {
            _ if self.invalid() >= INVALID_MAX => Ending::NotKnown,
            _ if !is_over => Ending::Unfinished,
            (_, None) if !unclear.is_empty() => Ending::Unclear,
            (Some(_), None) => Ending::AtLeast,
            (_, Some(high)) if !known(high) => Ending::NotKnown,
            (None, _) => Ending::Below,
            (Some(_), Some(_)) => Ending::Interval,
        };
        Answer {
            ending,
            bound: self.rules.bound,
            kept: low.map(point),
            broken: high.map(point),
            unclear: !unclear.is_empty(),
        }
    }

    fn is_spent(&self) -> bool {
        let trials: u32 = self.tallies.values().map(|t| t.valid() + t.invalid).sum();
        trials >= TRIALS_MAX || self.invalid() >= INVALID_MAX
    }

    fn invalid(&self) -> u32 {
        self.tallies.values().map(|t| t.invalid).sum()
    }

    fn tally(&self, rate: u32) -> Tally {
        self.tallies.get(&rate).copied().unwrap_or_default()
    }

    fn view(&self, rate: u32) -> View {
        self.tally(rate).view(self.rules.trials)
    }

    fn floor(&self) -> u32 {
        (self.rules.from_per_s / DOWN_MAX).max(1)
    }

    /// The lowest rate that is not kept, and the highest below it that is.
    fn bracket(&self) -> (Option<u32>, Option<u32>) {
        let with = |wanted: &[View]| {
            let rates = self.tallies.keys().copied();
            rates.filter(|rate| wanted.contains(&self.view(*rate))).collect::<Vec<_>>()
        };
        let high = with(&[View::Broken, View::Unknown]).first().copied();
        let kept = with(&[View::Kept]);
        let low = kept.into_iter().rfind(|rate| high.is_none_or(|high| *rate < high));
        (low, high)
    }

    /// Rates that trials of this length cannot tell, between what is kept and what is broken.
    fn unclear(&self) -> Vec<u32> {
        let (low, high) = self.bracket();
        let between =
            |rate: &u32| low.is_none_or(|low| low < *rate) && high.is_none_or(|high| *rate < high);
        let rates = self.tallies.keys().copied().filter(between);
        rates.filter(|rate| self.view(*rate) == View::Unclear).collect()
    }

    /// The geometric middle, rounded to three digits; `None` if the interval is narrow enough.
    fn between(&self, low: u32, high: u32) -> Option<u32> {
        let (from, to) = (f64::from(low), f64::from(high));
        if high - low <= 1 || to <= from * (1.0 + self.rules.resolution) {
            return None;
        }
        let middle = (from * to).sqrt();
        let unit = 10_f64.powf(middle.log10().floor() - 2.0).max(1.0);
        let inside = |rate: &f64| from < *rate && *rate < to;
        let round = Some((middle / unit).round() * unit).filter(inside);
        let rate = round.or(Some(middle.round()).filter(inside))?;
        Some(rate as u32)
    }

    fn unconfirmed(&self, rate: u32) -> Option<u32> {
        (!self.tally(rate).is_final(self.rules.trials)).then_some(rate)
    }
}

impl Answer {
    /// Whether it says something of the system that has its repetitions.
    #[must_use]
    pub fn is_known(&self) -> bool {
        matches!(self.ending, Ending::Interval | Ending::AtLeast | Ending::Below)
    }
}

/// "kept at 640/s (3 of 3)".
fn kept(point: &Point) -> String {
    let Tally { kept, .. } = point.tally;
    format!("kept at {}/s ({kept} of {})", point.rate_per_s, point.tally.valid())
}

fn broken(point: &Point) -> String {
    let Tally { broken, .. } = point.tally;
    format!("broken at {}/s ({broken} of {})", point.rate_per_s, point.tally.valid())
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = self.kept.as_ref().map(kept);
        let high = self.broken.as_ref();
        match (self.ending, low, high) {
            (Ending::Interval, Some(low), Some(high)) => {
                let wide = if self.unclear { TOO_SHORT } else { "" };
                write!(f, "{low}, {}{wide}", broken(high))
            }
            (Ending::Unclear, low, _) => {
                let low = low.unwrap_or_else(|| "kept at no rate that was tried".to_owned());
                write!(f, "{low}; above it trials of this length cannot tell: give a longer --step")
            }
            (Ending::AtLeast, Some(low), _) => {
                let why = match self.bound {
                    Bound::Generator => "more would measure the generator",
                    Bound::Asked => "the search was asked to end there",
                };
                write!(f, "at least that: {low}; {why}")
            }
            (Ending::Below, _, Some(high)) => write!(f, "less than that: {}", broken(high)),
            (Ending::NotKnown, low, Some(high)) if high.tally.valid() == 0 => write!(
                f,
                "{}; not known from {}/s on: all {} trials there are invalid",
                low.unwrap_or_else(|| "kept at no rate that was tried".to_owned()),
                high.rate_per_s,
                high.tally.invalid
            ),
            (Ending::NotKnown, low, high) => {
                let known: Vec<String> = low.into_iter().chain(high.map(broken)).collect();
                write!(f, "not known: too many invalid trials; {}", or_nothing(&known))
            }
            (_, low, high) => {
                let known: Vec<String> = low.into_iter().chain(high.map(broken)).collect();
                write!(f, "unfinished: {}", or_nothing(&known))
            }
        }
    }
}

const TOO_SHORT: &str = "; between them trials of this length cannot tell: a longer --step can";

fn or_nothing(known: &[String]) -> String {
    if known.is_empty() { "nothing is known".to_owned() } else { known.join(", ") }
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const RULES: Rules = Rules {
        from_per_s: 50,
        most_per_s: 100_000,
        bound: Bound::Asked,
        resolution: 0.05,
        trials: 3,
    };

    /// Searches a synthetic system; returns the answer and the rates that were tried.
    fn search(rules: Rules, mut system: impl FnMut(u32) -> Judged) -> (Answer, Vec<u32>) {
        let (mut search, mut tried) = (Search::new(rules), Vec::new());
        while let Some(rate) = search.next() {
            assert!(rate >= 1 && rate <= rules.most_per_s, "{rate}");
            tried.push(rate);
            assert!(tried.len() <= TRIALS_MAX as usize, "{tried:?}");
            search.add(rate, system(rate));
        }
        (search.answer(), tried)
    }

    fn keeps_up_to(capacity: u32) -> impl Fn(u32) -> Judged {
        move |rate| if rate <= capacity { Judged::Kept } else { Judged::Broken }
    }

    #[track_caller]
    fn check(rules: Rules, system: impl FnMut(u32) -> Judged, text: &str, rates: &[u32]) {
        let (answer, tried) = search(rules, system);
        assert_eq!((answer.to_string().as_str(), tried.as_slice()), (text, rates));
    }

    #[test]
    fn a_step_function_is_found() {
        check(
            RULES,
            keeps_up_to(660),
            "kept at 644/s (3 of 3), broken at 673/s (3 of 3)",
            &[50, 100, 200, 400, 800, 566, 673, 617, 644, 644, 673, 644, 673],
        );
    }

    #[test]
    fn every_capacity_lies_in_its_interval() {
        for capacity in 1..3_000 {
            let (answer, tried) = search(RULES, keeps_up_to(capacity));
            let low = answer.kept.map_or(0, |p| p.rate_per_s);
            let high = answer.broken.map_or(0, |p| p.rate_per_s);
            if capacity < 3 {
                assert_eq!((answer.ending, high), (Ending::Below, 3), "{capacity}");
                continue;
            }
            assert_eq!(answer.ending, Ending::Interval, "{capacity}");
            assert!(low <= capacity && capacity < high, "{low} {capacity} {high}");
            assert!(high - low <= 1 || f64::from(high) <= f64::from(low) * 1.05, "{low} {high}");
            assert!(tried.len() < 24, "{capacity}: {tried:?}");
        }
    }

    #[test]
    fn what_never_breaks_is_at_least_the_bound() {
        let rules = Rules { most_per_s: 300, ..RULES };
        let text = "at least that: kept at 300/s (3 of 3); the search was asked to end there";
        check(rules, |_| Judged::Kept, text, &[50, 100, 200, 300, 300, 300]);
        let (mut search, text) = (Search::new(RULES), "more would measure the generator");
        search.limit(120);
        while let Some(rate) = search.next() {
            search.add(rate, Judged::Kept);
        }
        let Answer { ending, bound, .. } = search.answer();
        assert_eq!((ending, bound), (Ending::AtLeast, Bound::Generator));
        assert!(search.answer().to_string().contains(text), "{}", search.answer());
    }

    fn cannot_tell(from: u32, to: u32) -> impl Fn(u32) -> Judged {
        move |rate| match rate {
            _ if rate < from => Judged::Kept,
            _ if rate > to => Judged::Broken,
            _ => Judged::Unclear,
        }
    }

    #[test]
    fn an_interval_is_as_wide_as_what_cannot_be_told() {
        let (answer, tried) = search(RULES, cannot_tell(600, 700));
        let (low, high) = (answer.kept.unwrap().rate_per_s, answer.broken.unwrap().rate_per_s);
        assert!(answer.ending == Ending::Interval && answer.unclear && answer.is_known());
        assert!((570..600).contains(&low) && (701..=740).contains(&high), "{answer}");
        assert!(answer.to_string().ends_with(TOO_SHORT), "{answer}");
        assert!(tried.len() < 30, "{tried:?}");
        let narrow = search(RULES, keeps_up_to(660)).0;
        assert!(!narrow.unclear && !narrow.to_string().contains("cannot tell"), "{narrow}");
    }

    #[test]
    fn where_nothing_breaks_for_certain_the_capacity_is_not_known() {
        let rules = Rules { most_per_s: 300, ..RULES };
        let (answer, _) = search(rules, cannot_tell(180, 1_000));
        assert_eq!((answer.ending, answer.is_known()), (Ending::Unclear, false));
        let text = "; above it trials of this length cannot tell: give a longer --step";
        assert!(
            answer.to_string().starts_with("kept at 17") && answer.to_string().ends_with(text),
            "{answer}"
        );
        let (answer, _) = search(rules, |_| Judged::Unclear);
        assert_eq!(answer.ending, Ending::Unclear);
        assert!(answer.to_string().starts_with("kept at no rate"), "{answer}");
        let (answer, _) = search(RULES, cannot_tell(1, 100));
        assert_eq!((answer.ending, answer.kept), (Ending::Below, None), "{answer}");
    }

    /// One trial in three that cannot tell does not undo the two that can.
    #[test]
    fn the_majority_of_all_valid_trials_counts() {
        let view = |kept, broken, unclear| Tally { kept, broken, unclear, invalid: 0 }.view(3);
        assert_eq!(view(2, 0, 1), View::Kept);
        assert_eq!(view(0, 2, 1), View::Broken);
        assert_eq!(view(1, 1, 1), View::Unclear);
        assert_eq!(view(1, 0, 2), View::Unclear);
        assert_eq!(view(0, 1, 1), View::Broken, "half of the time is not kept");
    }

    #[test]
    fn what_breaks_at_once_is_followed_downwards() {
        let text = "less than that: broken at 3/s (3 of 3)";
        check(RULES, |_| Judged::Broken, text, &[50, 25, 12, 6, 3, 3, 3]);
        let text = "kept at 9/s (3 of 3), broken at 10/s (3 of 3)";
        check(RULES, keeps_up_to(9), text, &[50, 25, 12, 6, 8, 10, 9, 9, 10, 9, 10]);
    }

    /// The first trial at 400 breaks by chance; its repetitions say otherwise.
    #[test]
    fn a_verdict_by_chance_does_not_hold() {
        let mut tried_400 = 0;
        let (answer, tried) = search(RULES, |rate| {
            tried_400 += u32::from(rate == 400);
            if rate == 400 && tried_400 == 1 { Judged::Broken } else { keeps_up_to(1_000)(rate) }
        });
        let (low, high) = (answer.kept.unwrap().rate_per_s, answer.broken.unwrap().rate_per_s);
        assert!(low <= 1_000 && 1_000 < high, "{answer} {tried:?}");
        assert_eq!(tried_400, 3, "{tried:?}");
    }

    #[test]
    fn a_noisy_knee_is_found_near_enough() {
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (answer, _) = search(RULES, |rate| {
                // Logistic: 12 % of the trials 10 % above or below the capacity say the wrong thing.
                let chance = 1.0 / (1.0 + ((f64::from(rate) / 700.0).ln() * 20.0).exp());
                if rng.random::<f64>() < chance { Judged::Kept } else { Judged::Broken }
            });
            assert_eq!(answer.ending, Ending::Interval, "seed {seed}: {answer}");
            let (low, high) = (answer.kept.unwrap(), answer.broken.unwrap());
            assert_eq!((low.tally.valid(), high.tally.valid()), (3, 3), "seed {seed}");
            assert!((500..900).contains(&low.rate_per_s), "seed {seed}: {answer}");
        }
    }

    #[test]
    fn invalid_trials_blame_nobody() {
        let system = |rate| if rate > 200 { Judged::Invalid } else { Judged::Kept };
        let (answer, tried) = search(RULES, system);
        assert_eq!(answer.ending, Ending::NotKnown);
        assert_eq!(tried.iter().filter(|rate| **rate == 400).count(), 3, "{tried:?}");
        let text = "; not known from ";
        assert!(answer.to_string().contains(text), "{answer}");
        assert_eq!(answer.kept.map(|p| p.tally.broken), Some(0));

        let (answer, tried) = search(RULES, |_| Judged::Invalid);
        assert_eq!((answer.ending, answer.kept), (Ending::NotKnown, None));
        assert_eq!(tried, [50, 50, 50]);
    }

    #[test]
    fn one_invalid_trial_is_repeated() {
        let mut first = true;
        let (answer, tried) = search(RULES, |rate| {
            if rate == 100 && std::mem::take(&mut first) {
                return Judged::Invalid;
            }
            keeps_up_to(120)(rate)
        });
        assert_eq!(answer.ending, Ending::Interval, "{answer}");
        assert_eq!(tried[..4], [50, 100, 100, 200], "{tried:?}");
    }

    #[test]
    fn a_search_that_is_stopped_says_so() {
        let mut search = Search::new(RULES);
        assert_eq!(search.answer().to_string(), "unfinished: nothing is known");
        search.add(50, Judged::Kept);
        search.add(100, Judged::Broken);
        let text = "unfinished: kept at 50/s (1 of 1), broken at 100/s (1 of 1)";
        assert_eq!(search.answer().to_string(), text);
    }

    #[test]
    fn an_endless_quarrel_ends() {
        let mut turn = 0_u32;
        let (answer, tried) = search(Rules { trials: 9, ..RULES }, |_| {
            turn += 1;
            if turn.is_multiple_of(2) { Judged::Kept } else { Judged::Broken }
        });
        assert!(tried.len() <= TRIALS_MAX as usize, "{answer}");
    }
}

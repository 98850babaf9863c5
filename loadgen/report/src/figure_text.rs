//! Every figure of the pages goes through here on its way to text, so that what is known of its doubt
//! stands beside it everywhere.

use super::compare::{Contestant, Spread};
use super::figures::{Figure, Figures, Time};
use super::words;

/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "–";

/// The median, or the ends between which it is if the measuring machine was late; of several trials that
/// differ the range, and, of fewer than `trials` trials, how many have the value: in those that lack it too
/// little was answered, so they are not like the others.
pub(super) fn shown(spread: Option<Spread>, trials: usize, text: impl Fn(f64) -> String) -> String {
    let Some(spread) = spread else { return NOTHING.to_owned() };
    let Spread { lo, hi, n, .. } = spread;
    let said = spread.told(&text);
    let [lo, hi] = [lo, hi].map(text);
    let range = (lo != hi).then(|| format!("{} to {hi}", words::without_unit(&lo, &hi)));
    let part = (n < trials).then(|| format!("{n} of {trials} trials"));
    let notes: Vec<String> = range.into_iter().chain(part).collect();
    if notes.is_empty() { said } else { format!("{said} ({})", notes.join("; ")) }
}

/// A share of the arrivals of a phase.
pub(super) fn share(
    one: &Contestant<'_>,
    phase: &str,
    share: impl Fn(&Figures) -> Option<Figure>,
) -> String {
    let spread = one.spread(|trial| share(&Figures::named(trial, phase)?));
    shown(spread, one.trusted().len(), words::percent)
}

/// A time of a phase; "≥" if it is a lower bound in any trial.
pub(super) fn time_of(
    one: &Contestant<'_>,
    phase: &str,
    time: impl Fn(&Figures) -> Option<Time>,
) -> String {
    let times: Vec<_> = one
        .trusted()
        .into_iter()
        .filter_map(|trial| time(&Figures::named(trial, phase)?))
        .collect();
    let bound = if times.iter().any(|time| time.at_least) { "≥ " } else { "" };
    let spread = Spread::of(times);
    shown(spread, one.trusted().len(), |ms| {
        if ms.is_finite() {
            format!("{bound}{}", words::millis(ms))
        } else {
            "not final".to_owned()
        }
    })
}

/// CPU per completed order.
pub(super) fn cpu(one: &Contestant<'_>) -> String {
    let spread = one.spread(|trial| trial.manifest.cost.cpu_ms_per_completed_order);
    shown(spread, one.trusted().len(), words::millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::latency::Metric;
    use record::read::{Latencies, Trial};
    use record::{Outcome, Phase};

    #[track_caller]
    fn check(values: &[f64], trials: usize, expected: &str) {
        assert_eq!(shown(Spread::of(values.to_vec()), trials, words::millis), expected);
    }

    #[test]
    fn a_median_says_of_how_many_trials_it_is() {
        check(&[], 3, NOTHING);
        check(&[2.0], 1, "2 ms");
        check(&[2.0], 3, "2 ms (1 of 3 trials)");
        check(&[2.0, 2.0, 2.0], 3, "2 ms");
        check(&[1.0, 2.0, 4.0], 3, "2 ms (1 to 4 ms)");
        check(&[1.0, 2.0, 4.0], 7, "2 ms (1 to 4 ms; 3 of 7 trials)");
    }

    #[test]
    fn what_the_measuring_machine_blurred_is_told_with_its_ends() {
        let of = |least| Figure { value: 2.0, least, most: 2.0 };
        assert_eq!(shown(Spread::of(vec![of(1.0)]), 1, words::millis), "1 to 2 ms");
        assert_eq!(shown(Spread::of(vec![of(1.95)]), 1, words::millis), "2 ms");
    }

    /// An outage: only two of three trials answered 368 times.
    #[test]
    fn a_percentile_that_some_trials_lack_is_marked() {
        let trial = |answers: u64| {
            let times = [(Outcome::Ok, Metric::Response, 1_000..=1_000 + answers - 1)];
            let mut trial = Trial { latencies: Latencies::of_places(&times), ..Trial::default() };
            trial.manifest.validity.valid = true;
            trial.manifest.phases.push(Phase { name: "during".to_owned(), ..Phase::default() });
            trial
        };
        let trials = [trial(400), trial(400), trial(300)];
        let one = Contestant { name: "m", order: 0, trials: trials.iter().collect() };
        let p99 = time_of(&one, "during", |figures| figures.accepted.quantile(0.99));
        assert!(p99.ends_with("(2 of 3 trials)"), "{p99}");
        let p50 = time_of(&one, "during", |figures| figures.accepted.quantile(0.5));
        assert!(!p50.contains("trials"), "{p50}");
    }
}

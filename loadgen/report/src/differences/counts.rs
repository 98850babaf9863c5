//! What the counts of single trials decide: shares of thousands of arrivals that lie far apart. It says
//! nothing of other machines, loads or seeds; that takes trials.

use decide::statistics::wilson;
use record::TimelineRow;
use record::read::Trial;

use super::super::compare::{Contestant, Scenario, trusted};
use super::super::figures::{Figure, Figures};
use super::super::words;

/// The two-sided 99.9 % quantile of the normal law: there are several pairs, and all are looked at.
const Z: f64 = 3.2905;

/// A share of arrivals: as measured, and between which ends it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Share {
    value: f64,
    least: f64,
    most: f64,
}

/// The shares that differ from the first system's in every trial which both have: of which system, which share, in
/// words.
pub(super) fn proved<'s>(scenario: &Scenario<'s>) -> Vec<(&'s str, &'static str, String)> {
    let Some((first, others)) = scenario.contestants.split_first() else { return Vec::new() };
    let Some(phase) = scenario.main_phase() else { return Vec::new() };
    let mut proved = Vec::new();
    for other in others {
        for (what, part) in parts(scenario) {
            let share = |trial: &Trial| share(trial, &phase.name, part);
            let sentence = sentence((first, other), what, &share);
            proved.extend(sentence.map(|sentence| (other.name, what, sentence)));
        }
    }
    proved
}

/// The share of a trial's arrivals, if there are any, and how many of a second's arrivals are of it.
type Part = (fn(&Figures) -> Option<Figure>, fn(&TimelineRow) -> u64);

fn parts(scenario: &Scenario<'_>) -> Vec<(&'static str, Part)> {
    let mut parts: Vec<(&'static str, Part)> =
        vec![("accepted", (Figures::ok_share, |row| row.ok))];
    if scenario.is_shop() {
        let good = |row: &TimelineRow| row.good.unwrap_or(0);
        parts.push(("completed in time", (Figures::in_time_share, good)));
    }
    parts
}

fn sentence(
    (first, other): (&Contestant<'_>, &Contestant<'_>),
    what: &str,
    share: &dyn Fn(&Trial) -> Option<Share>,
) -> Option<String> {
    let believed = |one: &&&Trial| trusted(one);
    let pair = |trial: &&Trial| {
        let number = trial.manifest.trial;
        let same = other.trials.iter().filter(believed).find(|t| t.manifest.trial == number)?;
        Some((share(trial)?, share(same)?))
    };
    let pairs: Vec<(Share, Share)> =
        first.trials.iter().filter(believed).filter_map(pair).collect();
    let above = |(a, b): &(Share, Share)| a.least > b.most;
    let below = |(a, b): &(Share, Share)| a.most < b.least;
    if pairs.is_empty() || !(pairs.iter().all(above) || pairs.iter().all(below)) {
        return None;
    }
    let median = |of: fn(&(Share, Share)) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        words::percent(values[values.len() / 2])
    };
    let (of_first, of_other) = (median(|pair| pair.0.value), median(|pair| pair.1.value));
    let trials = match pairs.len() {
        1 => "this trial".to_owned(),
        n => format!("each of {n} trials"),
    };
    Some(format!(
        "{what}: {} {of_first}, {} {of_other}; in {trials} the counts alone decide (99.9 % intervals \
         that allow for seconds which differ). Said of this machine, load and seed.",
        first.name, other.name
    ))
}

/// The share, between the ends of Wilson's interval around its own two ends, for as many arrivals as are
/// independent: fewer than there are, if seconds differ by more than chance makes them.
fn share(trial: &Trial, phase: &str, (part, of_second): Part) -> Option<Share> {
    let figures = Figures::named(trial, phase)?;
    let Figure { value, least, most } = part(&figures)?;
    let spread = figures.spread_of_seconds(trial, of_second).max(1.0);
    let n = figures.counts.scheduled as f64 / spread;
    Some(Share { value, least: wilson(least, n, -Z), most: wilson(most, n, Z) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Operation, Phase};

    /// A trial of 20 seconds with 100 arrivals each, of which so many are accepted.
    fn trial(ok: impl Fn(u32) -> u64, touched_failed: u64) -> Trial {
        let row = |t_s| TimelineRow {
            t_s,
            operation: Operation::Place,
            offered: 100,
            ok: ok(t_s),
            touched_failed: Some(touched_failed),
            ..TimelineRow::default()
        };
        let mut trial = Trial { timeline: (0..20).map(row).collect(), ..Trial::default() };
        trial.manifest.validity.valid = true;
        trial.manifest.phases = vec![Phase { to_s: 20, ..Phase::default() }];
        trial
    }

    fn said(first: &Trial, other: &Trial) -> Option<String> {
        let one = |name, trial| Contestant { name, order: 0, trials: vec![trial] };
        let accepted = |trial: &Trial| share(trial, "", (Figures::ok_share, |row| row.ok));
        sentence((&one("a", first), &one("b", other)), "accepted", &accepted)
    }

    #[test]
    fn thousands_decide_within_a_trial_and_dozens_do_not() {
        let (none, all) = (trial(|_| 0, 0), trial(|_| 100, 0));
        let text = said(&none, &all).unwrap();
        assert!(text.starts_with("accepted: a 0 %, b 100 %; in this trial"), "{text}");
        assert_eq!(said(&trial(|_| 97, 0), &trial(|_| 98, 0)), None);
        let mut few = trial(|_| 0, 0);
        few.timeline.truncate(1);
        few.timeline[0].offered = 5;
        assert_eq!(said(&few, &trial(|_| 60, 0)), None);
    }

    #[test]
    fn what_comes_in_bursts_counts_for_less() {
        let steady = trial(|_| 80, 0);
        assert!(said(&steady, &trial(|_| 90, 0)).is_some());
        let in_bursts = trial(|t_s| if t_s < 2 { 0 } else { 100 }, 0);
        assert_eq!(said(&steady, &in_bursts), None);
    }

    #[test]
    fn what_may_have_been_accepted_in_time_counts_for_the_other_side() {
        assert!(said(&trial(|_| 0, 90), &trial(|_| 100, 0)).is_some());
        assert_eq!(said(&trial(|_| 0, 100), &trial(|_| 100, 0)), None);
    }
}

//! Ratios between systems, paired by trial, claimed only if their interval does not hold 1.

use crate::record::read::Trial;

use super::compare::{Contestant, Scenario, Spread, trusted};
use super::figures::Figures;
use super::words;

/// The least coverage of an interval.
const COVERAGE: f64 = 0.95;
/// The fewest pairs for which smallest and largest cover the median's place with 95 %.
const LEAST_PAIRS: usize = 6;

/// A quantity that may be compared: its name and how it is read off a trial.
type Quantity<'a> = (&'a str, Box<dyn Fn(&Trial) -> Option<f64> + 'a>);

/// What may be said about the systems of `scenario` against its first one.
pub(super) fn sentences(scenario: &Scenario<'_>) -> Vec<String> {
    let Some((first, others)) = scenario.contestants.split_first() else { return Vec::new() };
    if others.is_empty() {
        return Vec::new();
    }
    let pairs = |other: &Contestant<'_>| pairs(first, other, |_| Some(1.0)).len();
    let most = others.iter().map(pairs).max().unwrap_or(0);
    if most < LEAST_PAIRS {
        return vec![too_few(most)];
    }
    let mut sentences = Vec::new();
    for other in others {
        for (name, quantity) in quantities(scenario) {
            sentences.extend(sentence(first, other, name, &quantity));
        }
    }
    sentences
}

fn too_few(pairs: usize) -> String {
    let trials = if pairs == 1 { "trial" } else { "trials" };
    format!(
        "No difference between systems is claimed: {pairs} {trials} of each to pair, and a 95 % \
         interval needs {LEAST_PAIRS}."
    )
}

fn quantities<'a>(scenario: &Scenario<'a>) -> Vec<Quantity<'a>> {
    let phase = scenario.main_phase().map_or("", |phase| phase.name.as_str());
    let figures = move |trial: &Trial| Figures::named(trial, phase);
    vec![
        ("accepted p50", Box::new(move |t| Some(figures(t)?.accepted.quantile(0.5)?.ms))),
        ("accepted p99", Box::new(move |t| Some(figures(t)?.accepted.quantile(0.99)?.ms))),
        ("completed p50", Box::new(move |t| Some(figures(t)?.completed.quantile(0.5)?.ms))),
        ("completed p99", Box::new(move |t| Some(figures(t)?.completed.quantile(0.99)?.ms))),
        (
            "CPU per completed order",
            Box::new(|trial| trial.manifest.cost.cpu_ms_per_completed_order),
        ),
    ]
}

fn sentence(
    first: &Contestant<'_>,
    other: &Contestant<'_>,
    name: &str,
    quantity: &dyn Fn(&Trial) -> Option<f64>,
) -> Option<String> {
    let ratios = pairs(first, other, quantity);
    let n = ratios.len();
    let (lo, hi) = interval(&ratios)?;
    let median = Spread::of(ratios)?.median;
    let [median, lo_text, hi_text] = [median, lo, hi].map(words::digits);
    let range = format!("{median} × [{lo_text}, {hi_text}], n = {n}");
    Some(if lo <= 1.0 && 1.0 <= hi {
        format!("{name}, {} to {}: undecided ({range} holds 1).", other.name, first.name)
    } else {
        format!("{name}: {} has {range}, of {}.", other.name, first.name)
    })
}

/// Ratios other/first of trials with the same number, both to be believed.
fn pairs(
    first: &Contestant<'_>,
    other: &Contestant<'_>,
    quantity: impl Fn(&Trial) -> Option<f64>,
) -> Vec<f64> {
    let of = |one: &Contestant<'_>, number: u32| {
        let trial = one.trials.iter().find(|trial| trial.manifest.trial == number)?;
        quantity(trial).filter(|value| trusted(trial) && value.is_finite() && *value > 0.0)
    };
    let numbers = first.trials.iter().map(|trial| trial.manifest.trial);
    numbers.filter_map(|number| Some(of(other, number)? / of(first, number)?)).collect()
}

/// The narrowest pair of order statistics that covers the median with 95 %, by the binomial law.
fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let outside = |k: usize| (0..k).map(|i| chance(n, i)).sum::<f64>() * 2.0;
    let k = (1..=n / 2).take_while(|k| 1.0 - outside(*k) >= COVERAGE).last()?;
    Some((sorted[k - 1], sorted[n - k]))
}

/// The chance of `i` heads in `n` throws.
fn chance(n: usize, i: usize) -> f64 {
    (0..i).fold(0.5_f64.powi(n as i32), |chance, j| chance * (n - j) as f64 / (j + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_pairs_have_no_interval_and_six_have_their_ends() {
        assert_eq!(interval(&[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        assert_eq!(interval(&[6.0, 2.0, 3.0, 4.0, 5.0, 1.0]), Some((1.0, 6.0)));
    }

    #[test]
    fn more_pairs_narrow_it_as_the_tables_say() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(interval(&values), Some((6.0, 15.0)));
    }
}

//! Ratios between systems, paired by trial, claimed only if their interval does not hold 1.

use record::read::Trial;

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
    let pairs = |other: &Contestant<'_>| pairs(first, other, |_| Some(1.0)).ratios.len();
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
    let Pairs { ratios, left_out } = pairs(first, other, quantity);
    let (lo, hi) = interval(&ratios)?;
    let mut notes = vec![format!("n = {}", ratios.len())];
    if left_out > 0 {
        let pairs = if left_out == 1 { "pair" } else { "pairs" };
        notes.push(format!("{left_out} {pairs} left out for lack of a value"));
    }
    let not_final = [(f64::INFINITY, "∞", other.name), (0.0, "0", first.name)];
    let not_final = not_final.iter().filter(|(ratio, ..)| ratios.contains(ratio));
    notes.extend(not_final.map(|(_, sign, name)| format!("{sign}: {name} not final")));
    let median = Spread::of(ratios)?.median;
    let [median, lo_text, hi_text] = [median, lo, hi].map(shown);
    let range = format!("{median} × [{lo_text}, {hi_text}], {}", notes.join(", "));
    Some(if lo <= 1.0 && 1.0 <= hi {
        format!("{name}, {} to {}: undecided ({range}; it holds 1).", other.name, first.name)
    } else {
        format!("{name}: {} has {range}, of {}.", other.name, first.name)
    })
}

fn shown(ratio: f64) -> String {
    if ratio.is_infinite() { "∞".to_owned() } else { words::digits(ratio) }
}

/// Ratios other/first of trials with the same number, both to be believed: infinite where only the
/// other one was not final, 0 where only the first one was not. As ends of an order they are exact.
struct Pairs {
    ratios: Vec<f64>,
    /// Pairs without a ratio: a value is lacking, or neither was final.
    left_out: usize,
}

fn pairs(
    first: &Contestant<'_>,
    other: &Contestant<'_>,
    quantity: impl Fn(&Trial) -> Option<f64>,
) -> Pairs {
    let of = |one: &Contestant<'_>, number: u32| {
        let trial = one.trials.iter().find(|trial| trial.manifest.trial == number);
        trial.filter(|trial| trusted(trial)).map(|trial| quantity(trial))
    };
    let numbers = first.trials.iter().map(|trial| trial.manifest.trial);
    let both: Vec<_> =
        numbers.filter_map(|number| Some((of(other, number)?, of(first, number)?))).collect();
    let positive = |value: Option<f64>| value.filter(|value| *value > 0.0);
    let ratio = |(other, first): &(Option<f64>, Option<f64>)| {
        let ratio = positive(*other)? / positive(*first)?;
        Some(ratio).filter(|ratio| !ratio.is_nan())
    };
    let ratios: Vec<f64> = both.iter().filter_map(ratio).collect();
    Pairs { left_out: both.len() - ratios.len(), ratios }
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

    fn contestant<'t>(name: &'t str, trials: &'t [Trial]) -> Contestant<'t> {
        Contestant { name, order: 0, trials: trials.iter().collect() }
    }

    /// Seven pairs of trials; what the two systems' values make of them.
    #[track_caller]
    fn check(firsts: [Option<f64>; 7], others: [Option<f64>; 7], expected: &str) {
        let trials = |values: [Option<f64>; 7]| {
            let trial = |(number, value): (usize, Option<f64>)| {
                let mut trial = Trial::default();
                trial.manifest.trial = number as u32;
                trial.manifest.validity.valid = true;
                trial.manifest.cost.cpu_ms_per_completed_order = value;
                trial
            };
            values.into_iter().enumerate().map(trial).collect::<Vec<_>>()
        };
        let (firsts, others) = (trials(firsts), trials(others));
        let (first, other) = (contestant("a", &firsts), contestant("b", &others));
        let cpu = |trial: &Trial| trial.manifest.cost.cpu_ms_per_completed_order;
        let said = sentence(&first, &other, "t", &cpu).unwrap_or_default();
        assert_eq!(said, expected);
    }

    /// A ratio on the pairs in which the slower system finished would flatter it.
    #[test]
    fn what_was_not_final_is_an_end_of_the_order() {
        const NEVER: Option<f64> = Some(f64::INFINITY);
        let (ones, some) = ([Some(1.0); 7], |values: [f64; 7]| values.map(Some));
        let mut others = some([2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        check(ones, others, "t: b has 5 × [2, 8], n = 7, of a.");
        others[0] = None;
        let text = "t: b has 5.5 × [3, 8], n = 6, 1 pair left out for lack of a value, of a.";
        check(ones, others, text);
        others[0] = NEVER;
        check(ones, others, "t: b has 6 × [3, ∞], n = 7, ∞: b not final, of a.");
        let mut firsts = ones;
        firsts[1] = NEVER;
        let text =
            "t, b to a: undecided (6 × [0, ∞], n = 7, ∞: b not final, 0: a not final; it holds 1).";
        check(firsts, others, text);
        firsts[0] = NEVER;
        let text = "t, b to a: undecided (5.5 × [0, 8], n = 6, 1 pair left out for lack of a value, \
                    0: a not final; it holds 1).";
        check(firsts, others, text);
        check(ones, [None; 7], "");
    }

    #[test]
    fn more_pairs_narrow_it_as_the_tables_say() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(interval(&values), Some((6.0, 15.0)));
    }
}

//! Ratios between systems, paired by trial, claimed only if their interval does not hold 1; of a figure with
//! two ends the unfavourable one counts. What the counts of a single trial decide is in `counts.rs`.

mod counts;

use decide::statistics::median_interval;
use record::read::Trial;

use super::compare::{Contestant, Scenario, Spread, trusted};
use super::figures::{Figure, Figures, Time};
use super::words;

/// The least coverage of an interval.
const COVERAGE: f64 = 0.95;
/// The fewest pairs for which smallest and largest cover the median's place with 95 %.
pub(super) const LEAST_PAIRS: usize = 6;

/// A quantity that may be compared: its name and how it is read off a trial.
type Quantity<'a> = (&'static str, Box<dyn Fn(&Trial) -> Option<Figure> + 'a>);

/// What may be said about the systems of `scenario` against its first one.
pub(super) fn sentences(scenario: &Scenario<'_>) -> Vec<String> {
    let Some((first, others)) = scenario.contestants.split_first() else { return Vec::new() };
    if others.is_empty() {
        return Vec::new();
    }
    let counted = counts::proved(scenario).into_iter();
    let mut sentences: Vec<String> = counted.map(|(_, _, sentence)| sentence).collect();
    let one = || Some(Figure::from(1.0));
    let pairs = |other: &Contestant<'_>| pairs(first, other, |_| one()).ratios.len();
    let most = others.iter().map(pairs).max().unwrap_or(0);
    if most < LEAST_PAIRS {
        sentences.push(too_few(most));
        return sentences;
    }
    for other in others {
        for (name, quantity) in quantities(scenario) {
            sentences.extend(sentence(first, other, name, &quantity));
        }
    }
    sentences
}

/// What of which system is proved to differ from the first one's.
pub(super) fn proved<'s>(scenario: &Scenario<'s>) -> Vec<(&'s str, &'static str)> {
    let counted = counts::proved(scenario).into_iter();
    let mut proved: Vec<_> = counted.map(|(system, what, _)| (system, what)).collect();
    let Some((first, others)) = scenario.contestants.split_first() else { return proved };
    for other in others {
        let differs = |quantity: &Quantity<'_>| {
            let interval = interval(&pairs(first, other, &quantity.1).ratios);
            interval.is_some_and(|ends| !holds_one(ends))
        };
        let named = quantities(scenario).into_iter().filter(differs);
        proved.extend(named.map(|(name, _)| (other.name, name)));
    }
    proved
}

fn holds_one((lo, hi): (f64, f64)) -> bool {
    lo <= 1.0 && 1.0 <= hi
}

fn too_few(pairs: usize) -> String {
    let trials = if pairs == 1 { "trial" } else { "trials" };
    format!(
        "Of times and costs no difference between systems is claimed: {pairs} {trials} of each to pair, \
         and a 95 % interval needs {LEAST_PAIRS}."
    )
}

fn quantities<'a>(scenario: &Scenario<'a>) -> Vec<Quantity<'a>> {
    let phase = scenario.main_phase().map_or("", |phase| phase.name.as_str());
    let time = move |trial: &Trial, time: fn(&Figures) -> Option<Time>| {
        time(&Figures::named(trial, phase)?).map(Figure::from)
    };
    vec![
        ("accepted p50", Box::new(move |t| time(t, |of| of.accepted.quantile(0.5)))),
        ("accepted p99", Box::new(move |t| time(t, |of| of.accepted.quantile(0.99)))),
        ("completed p50", Box::new(move |t| time(t, |of| of.completed.quantile(0.5)))),
        ("completed p99", Box::new(move |t| time(t, |of| of.completed.quantile(0.99)))),
        (
            "CPU per completed order",
            Box::new(|trial| trial.manifest.cost.cpu_ms_per_completed_order.map(Figure::from)),
        ),
    ]
}

fn sentence(
    first: &Contestant<'_>,
    other: &Contestant<'_>,
    name: &str,
    quantity: &dyn Fn(&Trial) -> Option<Figure>,
) -> Option<String> {
    let Pairs { ratios, left_out } = pairs(first, other, quantity);
    let (lo, hi) = interval(&ratios)?;
    let mut notes = vec![format!("n = {}", ratios.len())];
    if left_out > 0 {
        let pairs = if left_out == 1 { "pair" } else { "pairs" };
        notes.push(format!("{left_out} {pairs} left out for lack of a value"));
    }
    let not_final = [(f64::INFINITY, "∞", other.name), (0.0, "0", first.name)];
    let has = |ratio: f64| ratios.iter().any(|of| of.value == ratio);
    let not_final = not_final.iter().filter(|(ratio, ..)| has(*ratio));
    notes.extend(not_final.map(|(_, sign, name)| format!("{sign}: {name} not final")));
    let median = Spread::of(ratios)?.median;
    let [median, lo_text, hi_text] = [median, lo, hi].map(shown);
    let range = format!("{median} × [{lo_text}, {hi_text}], {}", notes.join(", "));
    Some(if holds_one((lo, hi)) {
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
    ratios: Vec<Figure>,
    /// Pairs without a ratio: a value is lacking, or neither was final.
    left_out: usize,
}

fn pairs(
    first: &Contestant<'_>,
    other: &Contestant<'_>,
    quantity: impl Fn(&Trial) -> Option<Figure>,
) -> Pairs {
    let of = |one: &Contestant<'_>, number: u32| {
        // Of one that was run again only the last has its say.
        let mut trials = one.trials.iter().filter(|trial| trusted(trial));
        trials.find(|trial| trial.manifest.trial == number).map(|trial| quantity(trial))
    };
    let numbers = first.trusted().into_iter().map(|trial| trial.manifest.trial);
    let both: Vec<_> =
        numbers.filter_map(|number| Some((of(other, number)?, of(first, number)?))).collect();
    let positive = |figure: Option<Figure>| figure.filter(|figure| figure.value > 0.0);
    let ratio = |(other, first): &(Option<Figure>, Option<Figure>)| {
        let (other, first) = (positive(*other)?, positive(*first)?);
        let value = other.value / first.value;
        let (least, most) = (other.least / first.most, other.most / first.least);
        Some(Figure { value, least, most }).filter(|_| !value.is_nan())
    };
    let ratios: Vec<Figure> = both.iter().filter_map(ratio).collect();
    Pairs { left_out: both.len() - ratios.len(), ratios }
}

/// The 95 % interval of the median, by places in the order; of figures with two ends the unfavourable ones count.
pub(super) fn interval(values: &[Figure]) -> Option<(f64, f64)> {
    median_interval(values, COVERAGE).map(|interval| (interval.low, interval.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_pairs_have_no_interval_and_six_have_their_ends() {
        let exact = |values: &[f64]| values.iter().copied().map(Figure::from).collect::<Vec<_>>();
        assert_eq!(interval(&exact(&[1.0, 2.0, 3.0, 4.0, 5.0])), None);
        let mut six = exact(&[6.0, 2.0, 3.0, 4.0, 5.0, 1.0]);
        assert_eq!(interval(&six), Some((1.0, 6.0)));
        six[5].least = 0.5;
        six[1].most = 9.0;
        assert_eq!(interval(&six), Some((0.5, 9.0)), "the unfavourable ends");
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
        let cpu = |trial: &Trial| trial.manifest.cost.cpu_ms_per_completed_order.map(Figure::from);
        let said = sentence(&first, &other, "t", &cpu).unwrap_or_default();
        assert_eq!(said, expected);
    }

    /// Its record stays beside the new one, and has the same number.
    #[test]
    fn what_was_run_again_is_one_pair() {
        let trial = |folder: &str, cpu| {
            let mut trial = Trial { folder: folder.into(), ..Trial::default() };
            trial.manifest.trial = 1;
            trial.manifest.validity.valid = true;
            trial.manifest.cost.cpu_ms_per_completed_order = Some(cpu);
            trial
        };
        let firsts = [trial("1", 2.0), trial("1-void-1", 50.0)];
        let others = [trial("1-void-1", 90.0), trial("1", 4.0)];
        let cpu = |trial: &Trial| trial.manifest.cost.cpu_ms_per_completed_order.map(Figure::from);
        let of = pairs(&contestant("a", &firsts), &contestant("b", &others), cpu);
        assert_eq!((of.ratios, of.left_out), (vec![Figure::from(2.0)], 0));
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
        let values: Vec<Figure> = (1..=20).map(|n| Figure::from(f64::from(n))).collect();
        assert_eq!(interval(&values), Some((6.0, 15.0)));
    }
}

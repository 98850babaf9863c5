//! One sentence for each scenario, and one for the run: what a reader takes home. Made from data, never fixed.

use record::read::Trial;

use super::compare::{Comparison, Contestant, Scenario};
use super::figure_text::{share, time_of};
use super::figures::{Figure, Figures};
use super::violation_text::{lost_or_doubled, others};
use super::words;

/// A difference of shares that is told first.
const CONTRAST: f64 = 0.05;
/// A system that takes so much of the load kept working.
const KEPT: f64 = 0.99;
/// One that takes no more than this took almost nothing.
const ALMOST_NONE: f64 = 0.01;

/// The run's: of the scenario in which its systems differ most, and what became of the money.
pub(super) fn of_run(comparison: &Comparison<'_>) -> String {
    let told = |scenario: &&Scenario<'_>| contrast(scenario, Figures::ok_share);
    let most = comparison.scenarios.iter().rev();
    let Some(most) = most.max_by(|a, b| told(a).total_cmp(&told(b))) else {
        return "Nothing was measured".to_owned();
    };
    let sentence = of_scenario(most);
    match money(comparison) {
        Some(money) => format!("{}; {money}", sentence.trim_end_matches('.')),
        None => sentence.trim_end_matches('.').to_owned(),
    }
}

/// The scenario's.
pub(super) fn of_scenario(scenario: &Scenario<'_>) -> String {
    let circumstance = capital(&scenario.circumstance());
    let known: Vec<_> = scenario
        .contestants
        .iter()
        .filter(|one| value(scenario, one, Figures::ok_share).is_some())
        .collect();
    let told = match known.as_slice() {
        [] => "no figure, since every trial is excluded or had no arrivals".to_owned(),
        [one] => alone(scenario, one),
        _ if contrast(scenario, Figures::ok_share) >= CONTRAST => taken(scenario, &known),
        _ if contrast(scenario, Figures::in_time_share) >= CONTRAST => in_time(scenario, &known),
        _ => alike(scenario, &known),
    };
    format!("{circumstance}: {told}{}.", without_figure(scenario, &known))
}

/// "; b has no figure", so that "every system" is not taken for all.
fn without_figure(scenario: &Scenario<'_>, known: &[&Contestant<'_>]) -> String {
    let is_known = |one: &Contestant<'_>| known.iter().any(|other| other.name == one.name);
    let others = scenario.contestants.iter().filter(|one| !is_known(one));
    let names: Vec<_> = others.map(|one| one.name).collect();
    match names.as_slice() {
        [] => String::new(),
        _ if known.is_empty() => String::new(),
        [one] => format!("; {one} has no figure"),
        _ => format!("; {} have no figure", names.join(" and ")),
    }
}

type Share = fn(&Figures) -> Option<Figure>;

/// The median share of the main phase.
fn value(scenario: &Scenario<'_>, one: &Contestant<'_>, share: Share) -> Option<f64> {
    let phase = scenario.main_phase()?;
    Some(one.spread(|trial| share(&Figures::named(trial, &phase.name)?))?.median)
}

/// How far apart the systems are.
fn contrast(scenario: &Scenario<'_>, share: Share) -> f64 {
    let shares = scenario.contestants.iter().filter_map(|one| value(scenario, one, share));
    let (lo, hi) =
        shares.fold((1.0, 0.0), |(lo, hi), share| (f64::min(lo, share), f64::max(hi, share)));
    hi - lo
}

/// In the phase that matters, as text.
fn text(scenario: &Scenario<'_>, one: &Contestant<'_>, of: Share) -> String {
    share(one, scenario.main_phase().map_or("", |phase| phase.name.as_str()), of)
}

/// "queue kept taking orders (100 %), sync took 14.4 %, mono took none".
fn taken(scenario: &Scenario<'_>, known: &[&Contestant<'_>]) -> String {
    let (verb, took, things) = match scenario.is_shop() {
        true => ("taking", "took", "orders"),
        false => ("answering", "answered", "requests"),
    };
    let mut systems: Vec<_> = known
        .iter()
        .map(|one| (value(scenario, one, Figures::ok_share).unwrap_or(0.0), *one))
        .collect();
    systems.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (none, some): (Vec<_>, Vec<_>) = systems.into_iter().partition(|(value, _)| *value == 0.0);
    let told = some.into_iter().map(|(value, one)| {
        let shown = text(scenario, one, Figures::ok_share);
        match value {
            value if value >= KEPT => format!("{} kept {verb} {things} ({shown})", one.name),
            value if value < ALMOST_NONE => format!("{} {took} almost none ({shown})", one.name),
            _ => format!("{} {took} {shown}", one.name),
        }
    });
    let none: Vec<_> = none.into_iter().map(|(_, one)| one.name).collect();
    let none = (!none.is_empty()).then(|| format!("{} {took} none", none.join(" and ")));
    told.chain(none).collect::<Vec<_>>().join(", ")
}

fn in_time(scenario: &Scenario<'_>, known: &[&Contestant<'_>]) -> String {
    let each = known
        .iter()
        .map(|one| format!("{} {}", one.name, text(scenario, one, Figures::in_time_share)));
    format!(
        "every system accepted its orders, and within {} s completed {}",
        words::digits(scenario.manifest().limits.objective_s),
        each.collect::<Vec<_>>().join(", ")
    )
}

/// They took the same; then the times are told: of more than two systems the ends.
fn alike(scenario: &Scenario<'_>, known: &[&Contestant<'_>]) -> String {
    let lowest =
        known.iter().filter_map(|one| Some((value(scenario, one, Figures::ok_share)?, *one)));
    let lowest = lowest.min_by(|a, b| a.0.total_cmp(&b.0));
    let lowest = lowest.map_or(String::new(), |(_, one)| text(scenario, one, Figures::ok_share));
    let same = known.iter().all(|one| text(scenario, one, Figures::ok_share) == lowest);
    let (least, things) = (if same { "" } else { "at least " }, scenario.things());
    let verb = if scenario.is_shop() { "accepted" } else { "answered" };
    let done = if scenario.is_shop() { "p99 until completed" } else { "p99" };
    let took = format!("every system {verb} {least}{lowest} of the {things}");
    match times(scenario, known) {
        Some(times) => format!("{took}; {done} {times}"),
        None => took,
    }
}

/// "from 26 ms (monolith) to 41 ms (queue)"; `None` where too few were answered.
fn times(scenario: &Scenario<'_>, known: &[&Contestant<'_>]) -> Option<String> {
    let phase = scenario.main_phase().map_or("", |phase| phase.name.as_str());
    let p99 = |figures: &Figures| match scenario.is_shop() {
        true => figures.completed.quantile(0.99),
        false => figures.accepted.quantile(0.99),
    };
    let mut times: Vec<_> = known
        .iter()
        .filter_map(|one| {
            let spread = one.spread(|trial| p99(&Figures::named(trial, phase)?))?;
            Some((spread.median, time_of(one, phase, p99), one.name))
        })
        .collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let told = |(_, time, name): &(f64, String, &str)| {
        format!("{} ({name})", time.split(" (").next().unwrap_or_default())
    };
    match times.as_slice() {
        [] => None,
        [one] => Some(told(one)),
        [first, .., last] => Some(format!("from {} to {}", told(first), told(last))),
    }
}

fn alone(scenario: &Scenario<'_>, one: &Contestant<'_>) -> String {
    let accepted = text(scenario, one, Figures::ok_share);
    if !scenario.is_shop() {
        return format!("{} answered {accepted} of the requests as asked", one.name);
    }
    let objective = words::digits(scenario.manifest().limits.objective_s);
    let in_time = text(scenario, one, Figures::in_time_share);
    format!(
        "{} accepted {accepted} of the orders and completed {in_time} within {objective} s",
        one.name
    )
}

/// What the audits found of orders and charges, over all trials but those of controls; `None` if none was
/// audited.
fn money(comparison: &Comparison<'_>) -> Option<String> {
    let all = comparison.scenarios.iter().flat_map(|scenario| &scenario.contestants);
    let is_honest = |trial: &Trial| trial.manifest.expect_violation.is_none();
    let all: Vec<_> =
        all.flat_map(|one| one.trials.iter().copied()).filter(|one| is_honest(one)).collect();
    let found: u64 = all.iter().filter_map(|one| lost_or_doubled(one)).reduce(|sum, n| sum + n)?;
    let found = match found {
        0 => "no order was lost or charged twice".to_owned(),
        1 => "1 order was lost or charged twice".to_owned(),
        found => format!("{} orders were lost or charged twice", words::count(found)),
    };
    Some(match others(&all) {
        None => found,
        Some(others) => format!("{found}; the audit found {others}"),
    })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{FaultRow, Operation, Phase, TimelineRow, Verdict};

    /// A trial of an outage of which so many of 1,000 orders were accepted.
    fn trial(system: &str, ok: u64) -> Trial {
        let mut trial = Trial::default();
        trial.manifest.system = system.to_owned();
        trial.manifest.validity.valid = true;
        trial.faults.push(FaultRow {
            kind: "kill".to_owned(),
            harm: "payments".to_owned(),
            commanded_s: 1.0,
            heal_commanded_s: Some(16.0),
            ..FaultRow::default()
        });
        let phase = Phase { name: "during".to_owned(), from_s: 0, to_s: 10 };
        trial.manifest.phases.push(phase);
        trial.timeline.push(TimelineRow {
            operation: Operation::Place,
            offered: 1_000,
            ok,
            failed: 1_000 - ok,
            ..TimelineRow::default()
        });
        trial
    }

    fn contestant(trial: &Trial) -> Contestant<'_> {
        Contestant { name: &trial.manifest.system, order: 0, trials: vec![trial] }
    }

    fn comparison(trials: &[Trial]) -> Comparison<'_> {
        let contestants = trials.iter().map(contestant).collect();
        Comparison { scenarios: vec![Scenario { name: "outage", about: "", contestants }] }
    }

    #[test]
    fn the_systems_that_kept_working_are_named_first() {
        let trials = [trial("mono", 0), trial("sync", 144), trial("queue", 1_000), trial("odd", 2)];
        assert_eq!(
            of_run(&comparison(&trials)),
            "While the payments role is dead for 15 s: queue kept taking orders (100 %), sync took 14.4 %, \
             odd took almost none (0.20 %), mono took none"
        );
    }

    #[test]
    fn who_took_none_is_told_at_once_and_who_has_no_figure_too() {
        let mut trials =
            [trial("mono", 0), trial("sync", 0), trial("queue", 1_000), trial("odd", 9)];
        trials[3].manifest.validity.valid = false;
        let found = of_run(&comparison(&trials));
        let told = ": queue kept taking orders (100 %), mono and sync took none; odd has no figure";
        assert!(found.ends_with(told), "{found}");
    }

    #[test]
    fn what_became_of_the_money_ends_the_title() {
        let mut trials = [trial("mono", 10), trial("queue", 1_000)];
        let finding = record::Finding { class: "lost".to_owned(), count: 2, ..Default::default() };
        trials[1].audit = Some(Verdict { violations: vec![finding], ..Verdict::default() });
        assert!(of_run(&comparison(&trials)).ends_with("; 2 orders were lost or charged twice"));
        trials[1].audit = Some(Verdict::default());
        assert!(!of_run(&comparison(&trials)).contains("charged twice"), "it judged no class");
    }

    #[test]
    fn what_the_audit_found_besides_is_told_too() {
        let mut trials = [trial("early", 1_000), trial("queue", 1_000)];
        let finding = |class: &str, count| record::Finding {
            class: class.to_owned(),
            count,
            ..Default::default()
        };
        let violations = vec![finding("lost", 0), finding("stuck", 28)];
        trials[0].audit = Some(Verdict { violations, ..Verdict::default() });
        let told = "; no order was lost or charged twice; the audit found 28 other violations";
        assert!(of_run(&comparison(&trials)).ends_with(told), "{}", of_run(&comparison(&trials)));
    }

    #[test]
    fn a_run_without_a_figure_says_so() {
        let mut trials = [trial("mono", 10), trial("queue", 20)];
        trials.iter_mut().for_each(|trial| trial.manifest.validity.valid = false);
        let found = of_run(&comparison(&trials));
        assert!(found.ends_with(": no figure, since every trial is excluded or had no arrivals"));
    }
}

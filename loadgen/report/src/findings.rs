//! The table of main findings and the sentences below it: text made from data, never fixed.

use serde::Serialize;

use record::Class;
use record::{Answer, Phase};

use super::compare::{Comparison, Contestant, Scenario, Spread, doubt, trusted};
use super::figures::{Figures, Time};
use super::recovery::{self, Backlog};
use super::summary::{verdict_word, violations};
use super::words;

/// What stands where nothing was measured.
const NOTHING: &str = "–";

/// One system under one scenario, ready to be printed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    scenario: String,
    system: String,
    /// How many trials are used.
    n: String,
    /// Why no or not all trials are used; empty if all are.
    doubts: Vec<String>,
    /// Ok answers as a share of arrivals, before, during (or the only phase), after.
    ok: [String; 3],
    /// The phase that the times belong to.
    phase: String,
    accepted_p50: String,
    accepted_p99: String,
    completed_p50: String,
    completed_p99: String,
    lost: String,
    double_charge: String,
    stuck: String,
    /// Violations of all other classes.
    other: String,
    /// Customers who were told an error and whose cards were charged: legal, and a headline.
    told_error: String,
    verdict: String,
    /// What no violation among all audited orders shows; empty if there is one.
    bound: String,
    backlog: String,
    cpu: String,
}

/// The table, in the order of the scenarios.
pub(super) fn table(comparison: &Comparison<'_>) -> Vec<Finding> {
    let of = |scenario: &Scenario<'_>| -> Vec<_> {
        scenario.contestants.iter().map(|one| finding(scenario, one)).collect()
    };
    comparison.scenarios.iter().flat_map(of).collect()
}

fn finding(scenario: &Scenario<'_>, one: &Contestant<'_>) -> Finding {
    let phase = scenario.main_phase().map_or("", |phase| phase.name.as_str());
    let ok = |name: &str| share(one, name, Figures::ok_share);
    let time = |time: fn(&Figures) -> Option<Time>| time_of(one, phase, time);
    let untrusted = one.trials.iter().filter(|trial| !trusted(trial));
    Finding {
        scenario: scenario.name.to_owned(),
        system: one.name.to_owned(),
        n: one.number(),
        doubts: untrusted
            .map(|trial| format!("trial {} {}", trial.manifest.trial, doubt(trial)))
            .collect(),
        ok: [ok("before"), if phase == "during" { ok("during") } else { ok(phase) }, ok("after")],
        phase: phase.to_owned(),
        accepted_p50: time(|figures| figures.accepted.quantile(0.5)),
        accepted_p99: time(|figures| figures.accepted.quantile(0.99)),
        completed_p50: time(|figures| figures.completed.quantile(0.5)),
        completed_p99: time(|figures| figures.completed.quantile(0.99)),
        lost: found(one, "lost"),
        double_charge: found(one, "double-charge"),
        stuck: found(one, "stuck"),
        other: other_violations(one),
        told_error: told_error(one),
        verdict: verdict(one),
        bound: bound(one).unwrap_or_default(),
        backlog: backlog(one),
        cpu: shown(
            one.spread(|trial| trial.manifest.cost.cpu_ms_per_completed_order),
            one.trusted().len(),
            words::millis,
        ),
    }
}

/// The median, of several trials that differ the range, and, of fewer than `trials` trials, how many
/// have the value: in those that lack it too little was answered, so they are not like the others.
pub(super) fn shown(spread: Option<Spread>, trials: usize, text: impl Fn(f64) -> String) -> String {
    let Some(Spread { median, lo, hi, n }) = spread else { return NOTHING.to_owned() };
    let [median, lo, hi] = [median, lo, hi].map(text);
    let range = (lo != hi).then(|| format!("{} to {hi}", without_unit(&lo, &hi)));
    let part = (n < trials).then(|| format!("{n} of {trials} trials"));
    let notes: Vec<String> = range.into_iter().chain(part).collect();
    if notes.is_empty() { median } else { format!("{median} ({})", notes.join("; ")) }
}

/// `lo` without its unit if `hi` has the same.
fn without_unit<'t>(lo: &'t str, hi: &str) -> &'t str {
    match (lo.rsplit_once(' '), hi.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => number,
        _ => lo,
    }
}

/// A share of the arrivals of a phase.
pub(super) fn share(
    one: &Contestant<'_>,
    phase: &str,
    share: impl Fn(&Figures) -> Option<f64>,
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
    let spread = Spread::of(times.iter().map(|time| time.ms).collect());
    shown(spread, one.trusted().len(), |ms| {
        if ms.is_finite() {
            format!("{bound}{}", words::millis(ms))
        } else {
            "not final".to_owned()
        }
    })
}

/// The sum over all audited trials: a lost order is lost in an invalid trial too.
fn found(one: &Contestant<'_>, class: &str) -> String {
    let counts: Vec<_> = one.trials.iter().filter_map(|trial| violations(trial, class)).collect();
    if counts.is_empty() { NOTHING.to_owned() } else { words::count(counts.iter().sum()) }
}

fn other_violations(one: &Contestant<'_>) -> String {
    let audits: Vec<_> = one.trials.iter().filter_map(|trial| trial.audit.as_ref()).collect();
    if audits.is_empty() {
        return NOTHING.to_owned();
    }
    let named = ["lost", "double-charge", "stuck"];
    let others = audits.iter().flat_map(|audit| &audit.violations);
    let others = others.filter(|finding| !named.contains(&finding.class.as_str()));
    words::count(others.map(|finding| finding.count).sum())
}

/// Over all audited trials, if none of them has any violation.
fn bound(one: &Contestant<'_>) -> Option<String> {
    let audits: Vec<_> = one.trials.iter().filter_map(|trial| trial.audit.as_ref()).collect();
    let clean = audits.iter().flat_map(|audit| &audit.violations).all(|found| found.count == 0);
    let n = audits.iter().map(|audit| audit.counts.n()).sum();
    (clean && !audits.is_empty()).then(|| audit::bound(n))
}

/// False beats unknown beats true; a missing audit is a doubt.
fn verdict(one: &Contestant<'_>) -> String {
    let answers = one.trials.iter().map(|trial| trial.audit.as_ref().map(|audit| audit.verdict));
    let rank = |answer: &Option<Answer>| match answer {
        Some(Answer::True) => 0,
        None => 1,
        Some(Answer::Unknown) => 2,
        Some(Answer::False) => 3,
    };
    if let Some(said) = control(one) {
        return said;
    }
    let worst = one.trials.iter().zip(answers).max_by_key(|(_, answer)| rank(answer));
    worst.map_or(NOTHING, |(trial, _)| verdict_word(trial)).to_owned()
}

/// What came of a control, whose verdict says nothing by itself; of several trials the worst.
fn control(one: &Contestant<'_>) -> Option<String> {
    let said = one.trials.iter().filter_map(|trial| {
        let (expected, audit) = (trial.manifest.expect_violation.as_ref()?, trial.audit.as_ref()?);
        Some((expected.is_met(audit), expected.sentence(audit)))
    });
    said.min_by_key(|(met, _)| *met).map(|(_, sentence)| sentence)
}

fn backlog(one: &Contestant<'_>) -> String {
    let found: Vec<_> = one.trusted().into_iter().filter_map(recovery::backlog).collect();
    if found.is_empty() {
        return NOTHING.to_owned();
    }
    if found.contains(&Backlog::Stayed) {
        return "still there at the end".to_owned();
    }
    if found.iter().all(|backlog| *backlog == Backlog::None) {
        return "none".to_owned();
    }
    let seconds = found.iter().map(|backlog| match backlog {
        Backlog::GoneAfter(seconds) => *seconds,
        Backlog::None | Backlog::Stayed => 0.0,
    });
    let spread = Spread::of(seconds.collect());
    shown(spread, one.trusted().len(), |s| format!("{} s", words::digits(s)))
}

/// What happened, system by system, in words.
pub(super) fn sentences(scenario: &Scenario<'_>) -> Vec<String> {
    scenario.contestants.iter().map(|one| sentence(scenario, one)).collect()
}

fn sentence(scenario: &Scenario<'_>, one: &Contestant<'_>) -> String {
    let Some(phase) = scenario.main_phase() else {
        return format!("{}: the record has no phase to report on.", one.name);
    };
    if let Some(mark) = one.mark() {
        return format!("{}: no result. {mark}.", one.name);
    }
    let things = scenario.things();
    let mut text = format!(
        "{} (n = {}): of the {things} that arrived {}, {} were accepted",
        one.name,
        one.number(),
        when(phase),
        share(one, &phase.name, Figures::ok_share)
    );
    if one.trusted().iter().any(|trial| trial.main_operation() == "place") {
        text += &format!(
            " and {} were paid or declined within {} s",
            share(one, &phase.name, Figures::in_time_share),
            words::digits(scenario.manifest().limits.objective_s)
        );
    }
    text += &silent(one, &phase.name);
    if phase.name == "during" {
        let after = share(one, "after", Figures::ok_share);
        text += &format!("; of those after it, {after} were accepted");
    }
    text + ". " + &audit_sentence(one)
}

/// What became of orders whose customers do not know, in words: over all audited trials, as of the
/// classes of violations.
fn silent(one: &Contestant<'_>, phase: &str) -> String {
    let said = |count: u64, what: &str| match count {
        0 => String::new(),
        count => format!("; {} {what}", words::count(count)),
    };
    let told = |class: Class, what: &str| said(odd(one, class).unwrap_or(0), what);
    if odd(one, Class::ToldErrorThenCharged).is_none() {
        // Older audits do not tell an error from silence.
        let figures = one.trusted().into_iter().filter_map(|trial| Figures::named(trial, phase));
        let count: u64 = figures.map(|figures| figures.recovered_count).sum();
        return said(count, "whose customers were not told so were completed later");
    }
    told(Class::ToldErrorThenCharged, "customers were told an error, and charged all the same")
        + &told(
            Class::ToldErrorThenDeclined,
            "whose customers were told an error were declined later",
        )
        + &told(Class::Recovered, "whose customers got no answer were completed later")
}

/// How many orders are in a legal class, over all audited trials; `None` if no audit knows the class.
fn odd(one: &Contestant<'_>, class: Class) -> Option<u64> {
    let audits = one.trials.iter().filter_map(|trial| trial.audit.as_ref());
    let found = audits.flat_map(|audit| &audit.oddities).filter(|f| f.class == class.name());
    found.map(|finding| finding.count).reduce(|sum, count| sum + count)
}

fn told_error(one: &Contestant<'_>) -> String {
    odd(one, Class::ToldErrorThenCharged).map_or_else(|| NOTHING.to_owned(), words::count)
}

fn when(phase: &Phase) -> String {
    match phase.name.as_str() {
        name @ ("before" | "during" | "after") => format!("in the phase “{name}”"),
        _ => "after the warm-up".to_owned(),
    }
}

fn audit_sentence(one: &Contestant<'_>) -> String {
    let audits: Vec<_> = one.trials.iter().filter_map(|trial| trial.audit.as_ref()).collect();
    let violations = audits.iter().flat_map(|audit| &audit.violations);
    let bad: Vec<_> = violations
        .filter(|finding| finding.count > 0)
        .map(|finding| format!("{} {}", words::count(finding.count), finding.class))
        .collect();
    let checked: u64 = audits.iter().map(|audit| audit.counts.n()).sum();
    match (audits.is_empty(), bad.is_empty()) {
        (true, _) => "Not audited.".to_owned(),
        (false, true) => {
            format!("Audit: {}, violations {}.", verdict(one), audit::bound(checked))
        }
        (false, false) => format!("Audit: {}: {}.", verdict(one), bad.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::latency::Metric;
    use record::read::{Latencies, Trial};

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

    /// An outage: only two of three trials answered 368 times.
    #[test]
    fn a_percentile_that_some_trials_lack_is_marked() {
        let trial = |answers: u64| {
            let times = [("ok", Metric::Response, 1_000..=1_000 + answers - 1)];
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

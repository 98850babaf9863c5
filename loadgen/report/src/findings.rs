//! What happened under a scenario, system by system, in sentences: text made from data, never fixed.

use record::{Class, Phase};

use super::compare::{Contestant, Scenario};
use super::exclusion;
use super::figure_text::share;
use super::figures::Figures;
use super::violation_text::{odd, sentence as audit_sentence};
use super::words;

/// What happened, system by system, in words.
pub(super) fn sentences(scenario: &Scenario<'_>) -> Vec<String> {
    scenario.contestants.iter().map(|one| sentence(scenario, one)).collect()
}

fn sentence(scenario: &Scenario<'_>, one: &Contestant<'_>) -> String {
    let Some(phase) = scenario.main_phase() else {
        return format!("{}: the record has no phase to report on.", one.name);
    };
    if let Some(excluded) = exclusion::of_all(one) {
        return format!("{}: no figure. {excluded}. {}", one.name, audit_sentence(one));
    }
    let things = scenario.things();
    let mut text = format!(
        "{} (n = {}): of the {things} that arrived {}, {} were accepted",
        one.name,
        one.number(),
        when(scenario, phase),
        share(one, &phase.name, Figures::ok_share)
    );
    if one.trusted().iter().any(|trial| trial.has_orders()) {
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
    if scenario.is_shop() { text + ". " + &audit_sentence(one) } else { text + "." }
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
        + &told(Class::TakenBack, "were cancelled in time")
}

fn when(scenario: &Scenario<'_>, phase: &Phase) -> String {
    match scenario.phases().len() {
        0 | 1 => "after the warm-up".to_owned(),
        _ => format!("in the phase “{}”", phase.name),
    }
}

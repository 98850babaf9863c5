//! What audits found, in plain words: over trials, never of one rule alone.

use record::read::Trial;
use record::{Answer, Class, Verdict};

use super::compare::Contestant;
use super::figure_text::NOTHING;
use super::summary::violations;
use super::words;

/// Orders of a trial that were lost or charged twice; `None` if its audit judged neither.
pub(super) fn lost_or_doubled(trial: &Trial) -> Option<u64> {
    Some(violations(trial, "lost")? + violations(trial, "double-charge").unwrap_or(0))
}

/// "passed", "failed", "undecided".
pub(super) fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::True => "passed",
        Answer::Unknown => "undecided",
        Answer::False => "failed",
    }
}

/// The same of a trial that may have no audit.
pub(super) fn word_of(trial: &Trial) -> &'static str {
    trial.audit.as_ref().map_or("not audited", |audit| word(audit.verdict))
}

/// Over all trials, the worst: failed beats undecided beats not audited beats passed. Of a control, what
/// came of it.
pub(super) fn verdict(one: &Contestant<'_>) -> String {
    let rank = |trial: &&&Trial| match trial.audit.as_ref().map(|audit| audit.verdict) {
        Some(Answer::True) => 0,
        None => 1,
        Some(Answer::Unknown) => 2,
        Some(Answer::False) => 3,
    };
    if let Some(said) = control(one) {
        return said;
    }
    one.trials.iter().max_by_key(rank).map_or(NOTHING, |trial| word_of(trial)).to_owned()
}

/// What came of a control, whose verdict says nothing by itself; of several trials the worst.
fn control(one: &Contestant<'_>) -> Option<String> {
    let said = one.trials.iter().filter_map(|trial| {
        let (expected, audit) = (trial.manifest.expect_violation.as_ref()?, trial.audit.as_ref()?);
        Some((expected.is_met(audit), expected.sentence(audit)))
    });
    said.min_by_key(|(met, _)| *met).map(|(_, sentence)| sentence)
}

/// The audits of all trials: a lost order is lost in an excluded trial too.
fn audits<'r>(one: &Contestant<'r>) -> Vec<&'r Verdict> {
    one.trials.iter().filter_map(|trial| trial.audit.as_ref()).collect()
}

/// How many orders they judged.
pub(super) fn judged(one: &Contestant<'_>) -> u64 {
    audits(one).iter().map(|audit| audit.counts.n()).sum()
}

/// "28 other violations": those of all classes but of which [`lost_or_doubled`] tells; `None` without any.
pub(super) fn others(trials: &[&Trial]) -> Option<String> {
    let audits = trials.iter().filter_map(|trial| trial.audit.as_ref());
    let found = audits.flat_map(|audit| &audit.violations);
    let others =
        found.filter(|finding| !["lost", "double-charge"].contains(&finding.class.as_str()));
    let count: u64 = others.map(|finding| finding.count).sum();
    match count {
        0 => None,
        1 => Some("1 other violation".to_owned()),
        count => Some(format!("{} other violations", words::count(count))),
    }
}

/// "Audit: passed. 0 violations in 3,188 orders (95 % sure: fewer than 1 in 1,060)."
pub(super) fn sentence(one: &Contestant<'_>) -> String {
    let audits = audits(one);
    let violations = audits.iter().flat_map(|audit| &audit.violations);
    let bad: Vec<_> = violations
        .filter(|finding| finding.count > 0)
        .map(|finding| format!("{} {}", words::count(finding.count), finding.class))
        .collect();
    match (audits.is_empty(), bad.is_empty()) {
        (true, _) => "Not audited.".to_owned(),
        (false, true) => format!("Audit: {}. {}.", verdict(one), none_of(judged(one))),
        (false, false) => format!("Audit: {}: {}.", verdict(one), bad.join(", ")),
    }
}

/// What no violation in `n` orders shows: with 95 % confidence the rate is below 3/n (the rule of three).
pub(super) fn none_of(n: u64) -> String {
    match fewer_than(n) {
        Some(bound) => format!("0 violations in {} orders ({bound})", words::count(n)),
        None => format!("0 violations in {} orders, too few to show anything", words::count(n)),
    }
}

/// "95 % sure: fewer than 1 in 1,060"; `None` of so few that it would say nothing.
pub(super) fn fewer_than(n: u64) -> Option<String> {
    let whole = n / 3;
    // Three digits, downwards: the claim may be weaker than what is known, never stronger.
    let place = 10_u64.pow(whole.checked_ilog10()?.saturating_sub(2));
    (whole > 1)
        .then(|| format!("95 % sure: fewer than 1 in {}", words::count(whole / place * place)))
}

/// How many orders are in a legal class, over all audited trials; `None` if no audit knows the class.
pub(super) fn odd(one: &Contestant<'_>, class: Class) -> Option<u64> {
    let all = audits(one);
    let found =
        all.into_iter().flat_map(|audit| &audit.oddities).filter(|f| f.class == class.name());
    found.map(|finding| finding.count).reduce(|sum, count| sum + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_zero_is_rounded_to_the_weaker_side() {
        let told = "0 violations in 3,188 orders (95 % sure: fewer than 1 in 1,060)";
        assert_eq!(none_of(3_188), told);
        assert_eq!(fewer_than(251_333).as_deref(), Some("95 % sure: fewer than 1 in 83,700"));
        assert_eq!([fewer_than(0), fewer_than(5)], [None, None]);
        assert_eq!(none_of(2), "0 violations in 2 orders, too few to show anything");
    }
}

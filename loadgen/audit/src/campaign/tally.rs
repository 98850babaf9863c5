//! Adds trials up, by system. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Quantiles, Spell, Trial, quantiles};
use record::{Answer, Class, Doubt, ExpectedViolation, FaultRow, Finding, Kind, Manifest, Reason};

/// The audit calls goodput back when it has stayed for three whole intervals; they may begin up to one
/// after the healing.
const CONFIRMED_AFTER: f64 = 4.0;

/// What a campaign says, the worst last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    /// Every contestant is true and every control came out as it must.
    True,
    /// Something could not be judged.
    #[default]
    Unknown,
    /// A contestant is false.
    False,
    /// A control disappointed: no other verdict counts.
    Void,
}

/// `campaign.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Campaign {
    /// Over all.
    pub conclusion: Conclusion,
    /// Why it is not true.
    pub reasons: Vec<String>,
    /// The controls' trials.
    pub controls: Vec<ControlSum>,
    /// The contestants, by name.
    pub systems: Vec<SystemSum>,
    /// Trials of contestants that are not true.
    pub troubled: Vec<Troubled>,
    /// Faults of contestants' trials without proof of effect or of healing.
    pub unproved: Vec<Unproved>,
    /// Why measurements are invalid, figures left out, and in how many trials.
    pub doubts: BTreeMap<String, u64>,
    /// Folders of trials that ended before their record could be written.
    pub broken: Vec<String>,
}

/// One trial of a control.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ControlSum {
    /// Its name.
    pub system: String,
    /// Whether something must be found.
    pub negative: bool,
    /// Whether it came out as its file says.
    pub met: bool,
    /// What came of it.
    pub sentence: String,
    /// The command that runs it again.
    pub again: String,
}

/// All trials of one system.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SystemSum {
    /// Its name.
    pub system: String,
    /// How many trials.
    pub trials: u64,
    /// Of these, by verdict.
    pub true_trials: u64,
    /// As above.
    pub unknown_trials: u64,
    /// As above.
    pub false_trials: u64,
    /// Orders that were asked for.
    pub asked: u64,
    /// Orders that were acknowledged.
    pub accepted: u64,
    /// Of these, in trials that could not be judged: they are in no class's n.
    pub not_judged: u64,
    /// Why not, figures left out, and in how many trials.
    pub not_judged_why: BTreeMap<String, u64>,
    /// Orders whose customers do not know.
    pub unknown: u64,
    /// Captures in the card network's journal.
    pub captures: u64,
    /// Every class of violation.
    pub violations: Vec<ClassSum>,
    /// Every class of oddity.
    pub oddities: Vec<ClassSum>,
    /// By kind.
    pub faults: Vec<FaultSum>,
}

/// One class over all trials of a system.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClassSum {
    /// lost, duplicated, …
    pub class: String,
    /// safety, liveness or oddity.
    pub kind: String,
    /// How often it was met.
    pub count: u64,
    /// Among how many accepted orders: those of trials that were judged in this class.
    pub n: u64,
    /// 3/n where the count is 0: with 95 % confidence the rate is below; `None` elsewhere.
    pub below: Option<f64>,
}

/// One kind of fault over all trials of a system.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FaultSum {
    /// kill, pause, ….
    pub kind: String,
    /// Injections that were ordered.
    pub commanded: u64,
    /// Of these, the effect was seen.
    pub proved: u64,
    /// Of the commanded ones, the healing was seen.
    pub healed: u64,
    /// Of the proved ones, those that lasted for more than the lease of the system's queue; `None` if it
    /// has none or the records do not say.
    pub beyond_lease: Option<u64>,
    /// Time from the healing until goodput was back.
    pub recovery: Quantiles,
}

/// A trial that is not true.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Troubled {
    /// Its folder.
    pub folder: String,
    /// The system.
    pub system: String,
    /// The verdict.
    pub verdict: Answer,
    /// Violations, or why it is unknown.
    pub why: Vec<String>,
    /// The command that runs it again.
    pub again: String,
}

/// A fault of which something was not seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Unproved {
    /// The trial's folder.
    pub folder: String,
    /// The system.
    pub system: String,
    /// The kind, whom, and when it was ordered.
    pub fault: String,
    /// What the record says instead of a proof.
    pub found: String,
    /// The command that runs the trial again.
    pub again: String,
}

/// Adds up. `broken`: folders of trials without a record.
#[must_use]
pub fn tally(trials: &[Trial], broken: Vec<String>) -> Campaign {
    let is_control = |t: &&Trial| t.manifest.expect_violation.is_some();
    // Cut short, a control may not have met its fault.
    let of_controls = trials.iter().filter(is_control).filter(|t| !t.manifest.validity.interrupted);
    let contestants: Vec<&Trial> =
        trials.iter().filter(|t| t.manifest.expect_violation.is_none()).collect();
    let mut by_system: BTreeMap<&str, Vec<&Trial>> = BTreeMap::new();
    for trial in &contestants {
        by_system.entry(&trial.manifest.system).or_default().push(trial);
    }
    let mut campaign = Campaign {
        controls: of_controls.map(control).collect(),
        systems: by_system.values().map(|trials| system(trials)).collect(),
        troubled: contestants.iter().filter_map(|trial| troubled(trial)).collect(),
        unproved: contestants.iter().flat_map(|trial| unproved(trial)).collect(),
        broken,
        ..Campaign::default()
    };
    let doubts = contestants.iter().flat_map(|t| &t.manifest.validity.reasons);
    campaign.doubts = counted(doubts.map(kind_of));
    conclude(&mut campaign);
    campaign
}

fn conclude(campaign: &mut Campaign) {
    let mut reasons: Vec<(Conclusion, String)> = Vec::new();
    let mut add = |conclusion, count: usize, what: &str| {
        if count > 0 {
            reasons.push((conclusion, format!("{count} {what}")));
        }
    };
    let controls = &campaign.controls;
    let answered = |answer| campaign.troubled.iter().filter(|t| t.verdict == answer).count();
    add(
        Conclusion::Void,
        controls.iter().filter(|c| !c.met).count(),
        "trials of controls did not come out as they must: no other verdict counts",
    );
    add(Conclusion::False, answered(Answer::False), "trials are false");
    add(Conclusion::Unknown, answered(Answer::Unknown), "trials could not be judged");
    add(
        Conclusion::Unknown,
        campaign.broken.len(),
        "trials have no record: they ended in the middle, or still run",
    );
    if !controls.iter().any(|c| c.negative) {
        let text = "no negative control was run: an audit that never says false proves nothing";
        reasons.push((Conclusion::Unknown, text.to_owned()));
    }
    if campaign.systems.is_empty() {
        reasons.push((Conclusion::Unknown, "no contestant was run".to_owned()));
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.0));
    campaign.conclusion = reasons.first().map_or(Conclusion::True, |reason| reason.0);
    campaign.reasons = reasons.into_iter().map(|reason| reason.1).collect();
}

fn control(trial: &Trial) -> ControlSum {
    let expected = trial.manifest.expect_violation.as_ref();
    ControlSum {
        system: trial.manifest.system.clone(),
        negative: matches!(expected, Some(ExpectedViolation::Class(_))),
        met: expected.is_some_and(|e| e.is_met(&trial.audit)),
        sentence: expected.map(|e| e.sentence(&trial.audit)).unwrap_or_default(),
        again: again(&trial.manifest),
    }
}

fn system(trials: &[&Trial]) -> SystemSum {
    let count = |answer| trials.iter().filter(|t| t.audit.verdict == answer).count() as u64;
    let sum = |of: fn(&Trial) -> u64| trials.iter().map(|t| of(t)).sum::<u64>();
    let accepted = |t: &Trial| t.audit.counts.n();
    let not_judged = || trials.iter().filter(|t| !is_judged(t));
    let (oddities, violations) =
        Class::all().partition::<Vec<_>, _>(|class| class.kind() == Kind::Oddity);
    let classes =
        |classes: Vec<Class>| classes.into_iter().map(|class| class_sum(class, trials)).collect();
    SystemSum {
        system: trials.first().map(|t| t.manifest.system.clone()).unwrap_or_default(),
        trials: trials.len() as u64,
        true_trials: count(Answer::True),
        unknown_trials: count(Answer::Unknown),
        false_trials: count(Answer::False),
        asked: sum(|t| t.audit.counts.asked),
        accepted: sum(accepted),
        not_judged: not_judged().map(|t| accepted(t)).sum(),
        not_judged_why: counted(not_judged().flat_map(|t| &t.audit.reasons).map(kind_of_doubt)),
        unknown: sum(|t| t.audit.counts.unknown),
        captures: sum(|t| t.audit.counts.captures),
        violations: classes(violations),
        oddities: classes(oddities),
        faults: faults(trials),
    }
}

/// Whether a class that was not met there was looked for in the whole record. Where there are
/// doubts, a violation that was found is one, and those that were not found prove nothing.
fn is_judged(trial: &Trial) -> bool {
    let audit = &trial.audit;
    audit.reasons.is_empty() && ![audit.safety, audit.liveness].contains(&Answer::Unknown)
}

fn class_sum(class: Class, trials: &[&Trial]) -> ClassSum {
    let met = |trial: &Trial| -> u64 {
        let found = trial.audit.violations.iter().chain(&trial.audit.oddities);
        found.filter(|f| f.class == class.name()).map(|f| f.count).sum()
    };
    let count = trials.iter().map(|t| met(t)).sum();
    let judged = trials.iter().filter(|t| is_judged(t) || met(t) > 0);
    let n: u64 = judged.map(|t| t.audit.counts.n()).sum();
    let kind = match class.kind() {
        Kind::Safety => "safety",
        Kind::Liveness => "liveness",
        Kind::Oddity => "oddity",
    };
    ClassSum {
        class: class.name().to_owned(),
        kind: kind.to_owned(),
        count,
        n,
        below: (count == 0 && n > 0).then(|| (3.0 / n as f64).min(1.0)),
    }
}

fn faults(trials: &[&Trial]) -> Vec<FaultSum> {
    let mut sums: BTreeMap<&str, FaultSum> = BTreeMap::new();
    let mut spells: BTreeMap<&str, Vec<Spell>> = BTreeMap::new();
    for trial in trials {
        for fault in trial.faults.iter().filter(|fault| was_commanded(fault)) {
            let sum = sums.entry(&fault.kind).or_default();
            sum.commanded += 1;
            sum.proved += u64::from(fault.effective_s.is_some());
            sum.healed += u64::from(fault.healed_s.is_some());
            let lasted = fault.heal_commanded_s.zip(fault.effective_s).map(|(to, from)| to - from);
            if let Some(lease_s) = trial.manifest.lease_s {
                *sum.beyond_lease.get_or_insert(0) +=
                    u64::from(lasted.is_some_and(|s| s > lease_s));
            }
        }
        for fault in trial.audit.recovery.iter().flat_map(|r| &r.faults) {
            let watched_s = watched_s(trial, fault.healed_s);
            let spell = Spell { recovered_s: fault.recovered_after_s, watched_s };
            spells.entry(&fault.kind).or_default().push(spell);
        }
    }
    sums.into_iter()
        .map(|(kind, sum)| FaultSum {
            kind: kind.to_owned(),
            recovery: spells.get(kind).map(|s| quantiles(s)).unwrap_or_default(),
            ..sum
        })
        .collect()
}

/// What was planned for after an early end was not tried.
fn was_commanded(fault: &FaultRow) -> bool {
    fault.heal_commanded_s.is_some()
}

/// Until the next fault or the end of the load.
fn watched_s(trial: &Trial, healed_s: f64) -> f64 {
    let starts = trial.faults.iter().map(|f| f.commanded_s).filter(|at| *at > healed_s);
    let end_s = starts.fold(f64::from(trial.manifest.duration_s), f64::min);
    let interval_s = f64::from(trial.manifest.interval_s.max(1));
    end_s - healed_s - CONFIRMED_AFTER * interval_s
}

fn troubled(trial: &Trial) -> Option<Troubled> {
    if trial.audit.verdict == Answer::True {
        return None;
    }
    let text = |f: &Finding| {
        let keys = f.examples.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("{} {} ({keys})", f.class, f.count)
    };
    let found = trial.audit.violations.iter().filter(|f| f.count > 0).map(text);
    Some(Troubled {
        folder: trial.folder.clone(),
        system: trial.manifest.system.clone(),
        verdict: trial.audit.verdict,
        why: found.chain(trial.audit.sentences()).collect(),
        again: again(&trial.manifest),
    })
}

fn unproved(trial: &Trial) -> Vec<Unproved> {
    let gaps = trial.faults.iter().filter(|fault| was_commanded(fault)).filter_map(|fault| {
        let proof = match (fault.effective_s, fault.healed_s) {
            (None, _) => &fault.effect_proof,
            (_, None) => &fault.heal_proof,
            _ => return None,
        };
        let parameters = if fault.parameters.is_empty() { "" } else { " " };
        Some(Unproved {
            folder: trial.folder.clone(),
            system: trial.manifest.system.clone(),
            fault: format!(
                "{}{parameters}{} on {} at {:.1} s",
                fault.kind, fault.parameters, fault.harm, fault.commanded_s
            ),
            found: proof.clone(),
            again: again(&trial.manifest),
        })
    });
    gaps.collect()
}

/// The command that asks the same of the same system: the files as the record's own command named
/// them.
fn again(manifest: &Manifest) -> String {
    let said = |name: &str| {
        let stem = |word: &&String| {
            std::path::Path::new(word).file_stem().is_some_and(|stem| stem == name)
        };
        manifest.command.iter().find(stem).cloned().unwrap_or_else(|| name.to_owned())
    };
    format!(
        "loadgen run {} --system {} --seed {} --keep-data",
        said(&manifest.scenario),
        said(&manifest.system),
        manifest.seed
    )
}

/// How often each was given.
fn counted(given: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for reason in given {
        *counted.entry(reason).or_default() += 1;
    }
    counted
}

/// What all reasons of a kind have in common.
fn kind_of(reason: &Reason) -> String {
    match reason {
        Reason::Other { sentence } => without_figures(sentence),
        reason => reason.general(),
    }
}

/// The same of the audit's.
fn kind_of_doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Other { sentence } => without_figures(sentence),
        doubt => doubt.general(),
    }
}

/// Sentences without a kind that differ in figures alone are one: those of a reader, and those of
/// another version.
fn without_figures(reason: &str) -> String {
    let mut text = String::new();
    for c in reason.chars() {
        match c {
            '0'..='9' | '.' if text.ends_with('…') => {}
            '0'..='9' => text.push('…'),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;

//! What a scenario promises, held against a finished record.

use crate::drift::Drift;
use record::latency::Metric;
use record::read::{Spectrum, Trial};
use record::{Met, Operation, Outcome};
use scenario::{Condition, Quantity, Series, Threshold};

/// What a record says of a quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    /// Seconds, a share, a rate or a count.
    Value(f64),
    /// Longer than anything that ended.
    Longer,
    /// One of these, of which one meets the promise and one does not: the measuring machine was late.
    Between(f64, f64),
    /// Nothing: there are only so many values.
    Unknown(u64),
}

/// A value that was found of a promise, with the unit of its quantity.
#[must_use]
pub fn with_unit(promise: &Met, found: f64) -> String {
    let condition = promise.expect.parse::<Condition>();
    condition.map_or_else(|_| found.to_string(), |condition| condition.shown(found))
}

/// A promise and what was found: "p(99) < 1s (place, during): found 2.3 s".
#[must_use]
pub fn said(promise: &Met) -> String {
    let Met { expect, operation, phase, .. } = promise;
    let found = promise.found(|found| with_unit(promise, found));
    let phase = if phase.is_empty() { String::new() } else { format!(", {phase}") };
    format!("{expect} ({operation}{phase}): found {found}")
}

/// How a promise fared in a finished trial, phase by phase.
#[must_use]
pub fn judge(threshold: &Threshold, trial: &Trial) -> Vec<Met> {
    let operation = threshold.operation.unwrap_or_else(|| trial.main_operation());
    let found = by_phase(threshold, trial, operation).into_iter();
    found.map(|(phase, found)| met(threshold, operation, phase, found)).collect()
}

/// Whether a finished trial has too few values to say that a promise was met, and does not say either
/// that it was not.
pub fn is_unknown(threshold: &Threshold, trial: &Trial) -> bool {
    let operation = threshold.operation.unwrap_or_else(|| trial.main_operation());
    let found = by_phase(threshold, trial, operation);
    found.iter().any(|(_, found)| matches!(found, Found::Unknown(_) | Found::Between(..)))
}

/// Phase by phase, with its name; the audit's classes and the drift belong to the whole trial.
fn by_phase(threshold: &Threshold, trial: &Trial, operation: Operation) -> Vec<(String, Found)> {
    let whole = match threshold.expect.quantity() {
        Quantity::Class(class) => Some(counted(trial, class)),
        Quantity::Drift => Some(Drift::of(trial).and_then(|drift| drift.worst())),
        Quantity::Time(..) | Quantity::Failed | Quantity::Goodput => None,
    };
    if let Some(whole) = whole {
        return vec![(String::new(), Found::value(whole))];
    }
    let phases = trial.manifest.phases.iter().enumerate();
    let wanted =
        phases.filter(|(_, p)| threshold.phase.as_ref().is_none_or(|name| *name == p.name));
    let found = |index| found_in(&threshold.expect, trial, index, operation);
    wanted.map(|(index, phase)| (phase.name.clone(), found(index))).collect()
}

fn met(threshold: &Threshold, operation: Operation, phase: String, found: Found) -> Met {
    let expect = &threshold.expect;
    let (found, why) = match found {
        Found::Value(value) => (Some(value), String::new()),
        Found::Longer => (None, "longer than any that ended".to_owned()),
        Found::Between(least, most) => {
            let [least, most] = [least, most].map(|found| expect.shown(found));
            (None, format!("between {least} and {most}: the measuring machine was late"))
        }
        Found::Unknown(has) => (None, expect.unknown(has)),
    };
    let met = found.is_some_and(|found| expect.holds(found));
    Met { expect: expect.to_string(), operation, phase, found, met, why }
}

impl Found {
    fn value(value: Option<f64>) -> Self {
        value.map_or(Self::Unknown(0), Self::Value)
    }

    /// As measured, unless the promise would fare otherwise with what it may be at one of the other ends.
    fn or(self, others: &[Self], condition: &Condition) -> Self {
        let value = |found: &Self| match found {
            Self::Value(value) => Some(*value),
            Self::Longer | Self::Between(..) | Self::Unknown(_) => None,
        };
        let Some(found) = value(&self) else { return self };
        let ends: Vec<f64> = others.iter().filter_map(value).chain([found]).collect();
        if ends.iter().all(|end| condition.holds(*end) == condition.holds(found)) {
            return self;
        }
        let least = ends.iter().copied().fold(f64::INFINITY, f64::min);
        Self::Between(least, ends.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    fn us(us: Option<u64>, without: Self) -> Self {
        us.map_or(without, |us| Self::Value(us as f64 / 1e6))
    }
}

fn counted(trial: &Trial, class: &str) -> Option<f64> {
    let verdict = trial.audit.as_ref()?;
    let all = verdict.violations.iter().chain(&verdict.oddities);
    all.into_iter().find(|f| f.class == class).map(|f| f.count as f64)
}

/// In one phase.
fn found_in(condition: &Condition, trial: &Trial, phase: usize, operation: Operation) -> Found {
    match condition.quantity() {
        Quantity::Time(series, q) => {
            let end = |least| time(trial, (phase, operation), (*series, *q), least);
            end(false).or(&[end(true)], condition)
        }
        Quantity::Failed => {
            let Outcomes { all, ok, touched_ok, touched_failed, .. } =
                outcomes(trial, phase, operation);
            let share = |ok: u64| {
                let share = all.saturating_sub(ok) as f64 / all.max(1) as f64;
                Found::value((all > 0).then_some(share))
            };
            let ends = [ok + touched_failed, ok.saturating_sub(touched_ok)];
            share(ok).or(&ends.map(share), condition)
        }
        Quantity::Goodput => {
            let ok = |outcome: Outcome| outcome == Outcome::Ok;
            let completed = trial.latencies.times(phase, operation, Metric::Completed, ok);
            let within_us = (trial.manifest.limits.objective_s * 1e6) as u64;
            let bounds = &trial.manifest.phases[phase];
            let seconds = f64::from(bounds.to_s.saturating_sub(bounds.from_s).max(1));
            let found = outcomes(trial, phase, operation);
            let good = completed.count_up_to(within_us);
            let rate = |good: u64| Found::Value(good as f64 / seconds);
            let ends = [good + found.touched_missed, good.saturating_sub(found.touched_good)];
            rate(good).or(&ends.map(rate), condition)
        }
        Quantity::Class(_) | Quantity::Drift => Found::Unknown(0),
    }
}

/// A time as measured, or as short as it may have been.
fn time(
    trial: &Trial,
    (phase, operation): (usize, Operation),
    (series, q): (Series, f64),
    least: bool,
) -> Found {
    let times = |metric, wanted: fn(Outcome) -> bool| {
        let all = &trial.latencies;
        if least {
            all.least(phase, operation, metric, wanted)
        } else {
            all.times(phase, operation, metric, wanted)
        }
    };
    let any: fn(Outcome) -> bool = |_| true;
    let ok: fn(Outcome) -> bool = |outcome| outcome == Outcome::Ok;
    let spectrum = match series {
        Series::Response => times(Metric::Response, any),
        Series::Accepted => times(Metric::Response, ok),
        Series::Service => times(Metric::Service, any),
        Series::Completed => times(Metric::Completed, ok),
        Series::Lag => times(Metric::Lag, any),
    };
    let (open, endless) = if series == Series::Completed {
        // Accepted orders that never became final are longer than any.
        (None, times(Metric::Response, ok).count().saturating_sub(spectrum.count()))
    } else {
        // An open request's time is "at least": nothing above it is known.
        (times(Metric::Response, |outcome| outcome == Outcome::Unfinished).min(), 0)
    };
    let has = spectrum.count() + endless;
    if has < if q < 1.0 { Spectrum::least(q) } else { 1 } {
        return Found::Unknown(has);
    }
    let found = match (q >= 1.0, endless) {
        (true, 0) => spectrum.max(),
        (true, _) => None,
        (false, _) => spectrum.quantile_with_endless(q, endless),
    };
    Found::us(found.filter(|us| open.is_none_or(|open| *us < open)), Found::Longer)
}

/// The arrivals of an operation in a phase.
#[derive(Clone, Copy, Default)]
struct Outcomes {
    all: u64,
    ok: u64,
    touched_ok: u64,
    touched_failed: u64,
    touched_good: u64,
    touched_missed: u64,
}

fn outcomes(trial: &Trial, phase: usize, operation: Operation) -> Outcomes {
    let Some(bounds) = trial.manifest.phases.get(phase) else { return Outcomes::default() };
    let within = |t_s: u32| (bounds.from_s..bounds.to_s).contains(&t_s);
    let rows = trial.timeline.iter().filter(|r| r.operation == operation && within(r.t_s));
    rows.fold(Outcomes::default(), |sum, row| Outcomes {
        all: sum.all + row.offered,
        ok: sum.ok + row.ok,
        touched_ok: sum.touched_ok + row.touched_ok.unwrap_or(0),
        touched_failed: sum.touched_failed + row.touched_failed.unwrap_or(0),
        touched_good: sum.touched_good + row.touched_good.unwrap_or(0),
        touched_missed: sum.touched_missed + row.touched_missed.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Finding, Manifest, Phase, TimelineRow, Verdict};

    fn trial() -> Trial {
        let phase = Phase { name: "during".to_owned(), from_s: 1, to_s: 3 };
        let row = |t_s, ok, offered| TimelineRow {
            t_s,
            operation: Operation::Place,
            ok,
            offered,
            ..TimelineRow::default()
        };
        let lost = Finding { class: "lost".to_owned(), count: 2, ..Finding::default() };
        Trial {
            manifest: Manifest { phases: vec![phase], ..Manifest::default() },
            timeline: vec![row(0, 0, 100), row(1, 10, 10), row(2, 9, 10)],
            audit: Some(Verdict { violations: vec![lost], ..Verdict::default() }),
            ..Trial::default()
        }
    }

    #[track_caller]
    fn check(text: &str, found: Option<f64>, met: bool) {
        let expect = text.parse().unwrap();
        let judged = judge(&Threshold { expect, operation: None, phase: None }, &trial());
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].met, met, "{judged:?}");
        assert_eq!(judged[0].found.map(|f| (f * 1e6).round()), found.map(|f| (f * 1e6).round()));
    }

    #[test]
    fn what_is_not_known_is_not_met() {
        check("failed <= 5%", Some(0.05), true);
        check("failed < 5%", Some(0.05), false);
        check("lost == 0", Some(2.0), false);
        check("lost == 2", Some(2.0), true);
        check("duplicated == 0", None, false);
        check("p(99) < 1h", None, false);
    }

    /// One of ten late orders failed, and two of those that were answered were late.
    #[test]
    fn what_the_machine_may_have_done_is_not_decided() {
        let mut late = trial();
        late.timeline[2].touched_failed = Some(1);
        late.timeline[1].touched_ok = Some(2);
        // In time eight of them, over two seconds, may have been final in time.
        late.timeline[1].touched_missed = Some(8);
        let judged = |text: &str| {
            let expect = text.parse().unwrap();
            let judged = judge(&Threshold { expect, operation: None, phase: None }, &late);
            (judged[0].met, judged[0].found(|found| found.to_string()))
        };
        assert_eq!(judged("failed < 20%"), (true, "0.05".to_owned()));
        let (met, why) = judged("failed < 10%");
        assert!(!met && why.starts_with("between 0 % and 15 %: the measuring machine"), "{why}");
        let (met, why) = judged("failed < 1%");
        assert!(!met && why.starts_with("between 0 % and 15 %"), "{why}");
        let (met, why) = judged("goodput >= 3");
        assert!(!met && why.starts_with("between 0 per second and 4 per second"), "{why}");
        assert_eq!(judged("goodput >= 5"), (false, "0".to_owned()), "at no end");
    }

    #[test]
    fn too_few_values_are_told_with_those_that_are_needed() {
        let why = |text: &str| {
            let expect = text.parse().unwrap();
            let judged = judge(&Threshold { expect, operation: None, phase: None }, &trial());
            judged[0].found(|found| found.to_string())
        };
        assert_eq!(why("p(99.9) < 1s"), "not known: there are 0 values, 3688 are needed");
        assert_eq!(why("max < 1s"), "not known: there are 0 values, 1 are needed");
        assert_eq!(why("duplicated == 0"), "not known: the audit did not count it");
        assert_eq!(why("lost == 0"), "2");
    }
}

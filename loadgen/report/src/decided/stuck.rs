//! Whether a system came back after what had pushed it: metastable, or not.

use decide::Figure;
use record::read::Trial;

use scenario::config::Span;

use crate::figures::Figures;

/// Below this part of what it did before it is stuck.
const PART: f64 = 0.5;

/// A trigger that lasted longer or shorter than it should by more than this was another one, s.
const OFF_MAX_S: f64 = 0.02;

/// 1 if of the arrivals of the phase `after` less than half as many were accepted and final in time as of those of
/// the phase `before`, else 0. `None` if the trial lacks a phase, did nothing in time before, or had another trigger than it should: the
/// machine was late.
pub(super) fn after_trigger(trial: &Trial) -> Option<Figure> {
    if !is_as_meant(trial) {
        return None;
    }
    let share = |phase: &str| Figures::named(trial, phase)?.in_time_share();
    let [before, after] = decide::AROUND_TRIGGER.map(share);
    stuck(before?, after?)
}

/// Whether each fault that lasts was in force as long as the scenario has it.
fn is_as_meant(trial: &Trial) -> bool {
    let planned = trial.manifest.faults.iter().map(|fault| {
        let text = fault.get("for")?.as_str()?;
        Some(text.parse::<Span>().ok()?.as_s())
    });
    let lasted = trial.faults.iter().map(|row| Some(row.healed_s? - row.effective_s?));
    planned.zip(lasted).all(|(planned, lasted)| match (planned, lasted) {
        (Some(planned), Some(lasted)) => (planned - lasted).abs() <= OFF_MAX_S,
        (planned, _) => planned.is_none(),
    })
}

/// What may have been otherwise on a machine that is never late is what the two ends say.
fn stuck(before: Figure, after: Figure) -> Option<Figure> {
    let is_below = |after: f64, before: f64| f64::from(u8::from(after < PART * before));
    let figure = Figure {
        value: is_below(after.value, before.value),
        least: is_below(after.most, before.least),
        most: is_below(after.least, before.most),
    };
    (before.value > 0.0).then_some(figure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::FaultRow;

    #[track_caller]
    fn check(before: (f64, f64, f64), after: (f64, f64, f64), expected: Option<(f64, f64, f64)>) {
        let figure = |(least, value, most)| Figure { value, least, most };
        let found = stuck(figure(before), figure(after));
        assert_eq!(found, expected.map(figure), "{before:?} {after:?}");
    }

    #[test]
    fn half_of_what_it_did_before_is_the_line() {
        let sure = |share| (share, share, share);
        check(sure(1.0), sure(0.0), Some(sure(1.0)));
        check(sure(1.0), sure(0.49), Some(sure(1.0)));
        check(sure(1.0), sure(0.5), Some(sure(0.0)));
        check(sure(0.9), sure(0.46), Some(sure(0.0)));
        check(sure(0.0), sure(0.0), None);
        check(sure(1.0), (0.4, 0.45, 0.6), Some((0.0, 1.0, 1.0)));
        check((0.7, 0.8, 1.0), (0.4, 0.45, 0.45), Some((0.0, 0.0, 1.0)));
        assert_eq!(after_trigger(&Trial::default()), None);
    }

    #[test]
    fn a_trigger_that_came_late_was_another_one() {
        let mut trial = Trial::default();
        trial.manifest.faults = vec![serde_json::json!({"at": "2s", "for": "650ms"})];
        let mut row = FaultRow { effective_s: Some(2.002), ..FaultRow::default() };
        for (healed_s, is_meant) in
            [(Some(2.653), true), (Some(2.671), true), (Some(2.6), false), (None, false)]
        {
            row.healed_s = healed_s;
            trial.faults = vec![row.clone()];
            assert_eq!(is_as_meant(&trial), is_meant, "{healed_s:?}");
        }
        trial.manifest.faults.clear();
        assert!(is_as_meant(&trial), "a surge is no fault");
    }
}

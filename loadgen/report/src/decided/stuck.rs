//! Whether a system came back after what had pushed it: metastable, or not.

use decide::Figure;
use record::read::Trial;

use crate::figures::Figures;

/// Below this part of what it did before it is stuck.
const PART: f64 = 0.5;

/// 1 if of the arrivals of the phase `after` less than half as many were accepted and final in time as of those of
/// the phase `before`, else 0. `None` if the trial lacks a phase, or did nothing in time before.
pub(super) fn after_trigger(trial: &Trial) -> Option<Figure> {
    let share = |phase: &str| Figures::named(trial, phase)?.in_time_share();
    let [before, after] = decide::AROUND_TRIGGER.map(share);
    stuck(before?, after?)
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
}

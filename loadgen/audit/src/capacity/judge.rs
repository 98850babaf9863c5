//! Whether a rate is kept, as far as the seconds of one window tell. A queue near its knee and a server
//! that pauses look alike for a while: what is not told from chance is said so. It knows no record.

use super::chance::Interval;
use super::open::Second;

/// What a window tells of one condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// It holds.
    Kept,
    /// It does not, and why.
    Broken(String),
    /// Chance may have made either of it, and how much.
    Unclear(String),
}

/// Whether open orders grow by no more than what may be late: 1 − `share` of the offered rate.
///
/// That they grow is told by their averages over time, freed from what more or fewer arrivals than the
/// rate says explain of it: a server that is busy all the time cannot help the next arrival, and what is
/// left is its own lack of speed. That they do not is told by the fewest that were open in each second:
/// bursts and pauses are worked off, and leave no more behind than there was.
pub(super) fn growth(seconds: &[Second], per_s: f64, share: f64) -> Told {
    let differences = |of: fn(&Second) -> f64| -> Vec<f64> {
        seconds.windows(2).map(|pair| of(&pair[1]) - of(&pair[0])).collect()
    };
    let busy = Interval::freed(&differences(|s| s.mean), &differences(|s| s.surplus));
    let rest = Interval::of(&differences(|s| s.least));
    let allowed = (1.0 - share) * per_s;
    if busy.least > allowed {
        return Told::Broken(format!(
            "open orders grew by {:.1} per second ({:.1} at least)",
            busy.mean, busy.least
        ));
    }
    if rest.most <= allowed {
        return Told::Kept;
    }
    Told::Unclear(format!(
        "open orders may have grown by {:.1} to {:.1} per second, and {allowed:.1} are allowed",
        busy.least.min(rest.least),
        busy.most.max(rest.most)
    ))
}

/// Whether at least `share` of the offered orders completed within the objective.
pub(super) fn in_time(seconds: &[Second], share: f64, objective_s: f64) -> Told {
    let late: Vec<(f64, f64)> = seconds.iter().map(|s| (s.offered, s.late)).collect();
    let what = format!("completed within {objective_s} s; asked are {} %", share * 100.0);
    at_least(&late, share, &what)
}

/// Whether at least `share` of what was asked was answered, from what was asked and what was not
/// answered in each second; `which` names those that lack.
pub(super) fn answered(seconds: &[(f64, f64)], share: f64, which: &str) -> Told {
    match at_least(seconds, share, "were answered") {
        Told::Broken(text) => Told::Broken(format!("of the other requests {text} ({which})")),
        Told::Unclear(text) => Told::Unclear(format!("of the other requests {text}")),
        Told::Kept => Told::Kept,
    }
}

fn at_least(seconds: &[(f64, f64)], share: f64, what: &str) -> Told {
    let lack = Interval::share(seconds);
    let percent = |lack: f64| (1.0 - lack.clamp(0.0, 1.0)) * 100.0;
    if lack.least > 1.0 - share {
        Told::Broken(format!("{:.2} % {what}", percent(lack.mean)))
    } else if lack.most <= 1.0 - share {
        Told::Kept
    } else {
        Told::Unclear(format!("{:.2} to {:.2} % {what}", percent(lack.most), percent(lack.least)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(least: f64, mean: f64) -> Second {
        Second { least, mean, offered: 100.0, ..Second::default() }
    }

    #[track_caller]
    fn check(told: &Told, part: Option<&str>) {
        match (told, part) {
            (Told::Kept, None) => {}
            (Told::Broken(text) | Told::Unclear(text), Some(part)) if text.contains(part) => {}
            _ => panic!("{told:?} instead of {part:?}"),
        }
    }

    #[test]
    fn a_level_that_stays_is_no_growth_and_a_straight_line_is() {
        let level: Vec<_> = (0..10).map(|_| second(3.0, 5.0)).collect();
        check(&growth(&level, 100.0, 0.99), None);
        let line: Vec<_> =
            (0..10).map(|n| second(f64::from(n) * 3.0, f64::from(n) * 3.0)).collect();
        let told = growth(&line, 100.0, 0.99);
        assert!(matches!(told, Told::Broken(_)), "{told:?}");
        check(&told, Some("grew by 3.0 per second (3.0 at least)"));
    }

    /// A server that pauses in one second has as few open orders as before in the next.
    #[test]
    fn bursts_that_are_worked_off_are_no_growth() {
        let burst = |n: u32| if n.is_multiple_of(3) { 40.0 } else { 5.0 };
        let paused: Vec<_> = (0..10).map(|n| second(3.0, burst(n))).collect();
        check(&growth(&paused, 100.0, 0.99), None);
    }

    #[test]
    fn one_sample_against_one_other_tells_nothing() {
        let levels = [5.0, 9.0, 4.0, 7.0, 12.0];
        let few: Vec<_> = levels.iter().map(|level| second(*level, *level)).collect();
        let told = growth(&few, 100.0, 0.99);
        assert!(matches!(told, Told::Unclear(_)), "{told:?}");
        check(&told, Some("per second, and 1.0 are allowed"));
    }

    #[test]
    fn a_queue_that_only_luck_kept_short_is_not_kept_and_bad_luck_breaks_none() {
        // Busy all the time, 110/s offered, 100/s done: in this window 100/s came, by luck.
        let lucky = |n: u32| {
            let luck = [0.0, 6.0, -4.0, 3.0, -5.0, 2.0, -1.0, 4.0, -3.0, -2.0][n as usize];
            let surplus = -10.0 * f64::from(n) + luck;
            Second { surplus, ..second(20.0 + luck, 20.0 + luck) }
        };
        let lucky: Vec<_> = (0..10).map(lucky).collect();
        check(&growth(&lucky, 110.0, 0.99), Some("grew by 10.0 per second"));
    }

    #[test]
    fn a_share_is_told_with_what_chance_makes_of_it() {
        let with = |late: &[f64]| {
            let second = |late: &f64| Second { late: *late, ..second(0.0, 0.0) };
            in_time(&late.iter().map(second).collect::<Vec<_>>(), 0.99, 2.0)
        };
        check(&with(&[0.0; 10]), None);
        check(&with(&[50.0; 10]), Some("50.00 % completed within 2 s; asked are 99 %"));
        let burst = with(&[0.0, 0.0, 0.0, 12.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(matches!(burst, Told::Unclear(_)), "{burst:?}");
        check(
            &answered(&[(10.0, 10.0); 5], 0.99, "get 0 %"),
            Some("of the other requests 0.00 % were answered (get 0 %)"),
        );
    }
}

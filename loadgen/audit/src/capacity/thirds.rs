//! How records of searches before decision 27 were judged: a difference of two means of samples, against a
//! Poisson number. Kept so that their answers stay what they were.

use record::TimelineRow;

use super::keeps::Keeps;
use super::window::Window;

/// A trial's open orders are a Poisson number in a system that keeps up (M/G/∞): a difference of
/// means counts as growth above this many of its standard deviations.
const GROWTH_DEVIATIONS: f64 = 3.0;

/// Open orders more per second and in all, and what chance alone may make of that.
pub(super) struct Growth {
    pub(super) per_s: f64,
    grown: f64,
    chance: f64,
}

/// Between the means of the window's first and last third.
pub(super) fn growth(window: &Window<'_>) -> Growth {
    let inside = |row: &&TimelineRow| {
        row.operation == window.trial.main_operation()
            && (window.phase.from_s..window.phase.to_s).contains(&row.t_s)
    };
    let rows = window.trial.timeline.iter().filter(inside);
    let open: Vec<f64> = rows.map(|row| (row.in_flight + row.backlog) as f64).collect();
    let third = open.len() / 3;
    if third == 0 {
        return Growth { per_s: 0.0, grown: 0.0, chance: 0.0 };
    }
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&open[..third]), mean(&open[open.len() - third..]));
    let apart_s = (open.len() - third) as f64;
    let chance = GROWTH_DEVIATIONS * (2.0 * first.max(1.0)).sqrt();
    Growth { per_s: (last - first) / apart_s, grown: last - first, chance }
}

/// Reasons to say that the system did not keep the rate.
pub(super) fn troubles(window: &Window<'_>, keeps: &Keeps) -> Vec<String> {
    let mut troubles = Vec::new();
    let share = window.main.value(window.in_time);
    if share < keeps.share {
        let objective = window.trial.manifest.limits.objective_s;
        troubles.push(format!(
            "{:.2} % completed within {objective} s; asked are {} %",
            share * 100.0,
            keeps.share * 100.0
        ));
    }
    let others = window.all_others();
    if others.offered > 0 && others.value(others.ok) < keeps.share {
        let percent = others.value(others.ok) * 100.0;
        troubles.push(format!("of the other requests {percent:.2} % were answered"));
    }
    let Growth { per_s, grown, chance } = growth(window);
    if per_s > (1.0 - keeps.share) * window.offered_per_s() && grown > chance {
        troubles.push(format!("open orders grew by {per_s:.1} per second"));
    }
    troubles
}

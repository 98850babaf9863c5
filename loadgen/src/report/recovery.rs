//! How long put-off work stayed behind after the trouble was over.

use crate::record::read::Trial;

use super::series::Series;

/// For how many intervals in a row the backlog must be back, so that a dip is not taken for an end.
const STAYS: usize = 3;

/// What happened to the orders that were accepted and not yet final.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Backlog {
    /// It never exceeded what it was before.
    NeverGrew,
    /// It was back after this many seconds.
    GoneAfter(f64),
    /// It was not back at the end of the record.
    Stayed,
}

/// The backlog after the fault was healed (or the phase `during` ended), held against its largest
/// value in the phase `before`. `None` if there was no trouble to recover from.
pub(super) fn backlog(trial: &Trial) -> Option<Backlog> {
    let phase = |name| trial.manifest.phases.iter().find(|phase| phase.name == name);
    let (before, during) = (phase("before")?, phase("during")?);
    let healed_s = trial.faults.iter().filter_map(|fault| fault.healed_s).fold(None, later);
    let over_s = healed_s.unwrap_or_else(|| f64::from(during.to_s));
    let series = Series::of(trial, |row| Some(row.backlog as f64));
    let in_before = series.iter().filter(|(at, _)| before.from_s <= *at && *at < before.to_s);
    let level = in_before.map(|(_, value)| value).fold(0.0, f64::max);
    if !series.iter().any(|(at, value)| at >= during.from_s && value > level) {
        return Some(Backlog::NeverGrew);
    }
    let length_s = f64::from(series.interval_s());
    let after: Vec<_> =
        series.iter().filter(|(at, _)| f64::from(*at) + length_s >= over_s).collect();
    let back = |rows: &[(u32, f64)]| rows.iter().take(STAYS).all(|(_, value)| *value <= level);
    let first = (0..after.len()).find(|index| back(&after[*index..]));
    Some(first.map_or(Backlog::Stayed, |index| {
        Backlog::GoneAfter((f64::from(after[index].0) + length_s - over_s).max(0.0))
    }))
}

fn later(latest: Option<f64>, at_s: f64) -> Option<f64> {
    Some(latest.map_or(at_s, |latest| latest.max(at_s)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FaultRow, Phase, TimelineRow};

    fn trial(backlog: &[u64]) -> Trial {
        let mut trial = Trial::default();
        trial.manifest.interval_s = 1;
        trial.manifest.phases = [("before", 0, 2), ("during", 2, 4), ("after", 4, 9)]
            .map(|(name, from_s, to_s)| Phase { name: name.to_owned(), from_s, to_s })
            .to_vec();
        trial.faults = vec![FaultRow { healed_s: Some(4.5), ..FaultRow::default() }];
        let row = |(t_s, backlog): (u32, &u64)| TimelineRow {
            t_s,
            operation: "place".to_owned(),
            backlog: *backlog,
            ..TimelineRow::default()
        };
        trial.timeline = (0..).zip(backlog).map(row).collect();
        trial
    }

    #[test]
    fn it_is_gone_when_it_is_back_and_stays() {
        let found = backlog(&trial(&[2, 3, 40, 90, 50, 3, 20, 2, 0, 1]));
        assert_eq!(found, Some(Backlog::GoneAfter(3.5)));
    }

    #[test]
    fn it_may_never_grow_or_never_go() {
        assert_eq!(backlog(&trial(&[2, 3, 3, 2, 1, 0])), Some(Backlog::NeverGrew));
        assert_eq!(backlog(&trial(&[2, 3, 9, 9, 9, 9])), Some(Backlog::Stayed));
    }

    #[test]
    fn a_steady_scenario_has_nothing_to_recover_from() {
        assert_eq!(backlog(&Trial::default()), None);
    }
}

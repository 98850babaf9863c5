//! Times to recover, some of which were cut off by the next fault or the end of the load. Pure.

use serde::Serialize;

/// One healing and what was seen after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spell {
    /// From the healing until goodput was back, s; `None` if it was not seen.
    pub recovered_s: Option<f64>,
    /// For how long a recovery could have been seen, s.
    pub watched_s: f64,
}

/// Quantiles of times of which some are only known to be longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Recoveries that were seen.
    pub seen: u64,
    /// Of these, and of those that were watched for a while and not seen.
    pub watched: u64,
    /// The median, s; `None` if it lies above what was watched.
    pub p50_s: Option<f64>,
    /// The 95th percentile, s; as above.
    pub p95_s: Option<f64>,
    /// The longest that was seen, s.
    pub max_s: Option<f64>,
}

/// Product-limit estimate (Kaplan and Meier 1958): to count only the recoveries that were seen would
/// leave the slow ones out. When faults come is drawn beforehand, so being cut off says nothing of
/// the system, which the estimate asks for.
#[must_use]
pub fn quantiles(spells: &[Spell]) -> Quantiles {
    let mut times: Vec<(f64, bool)> = spells
        .iter()
        .map(|s| s.recovered_s.map_or((s.watched_s, false), |recovered_s| (recovered_s, true)))
        .filter(|(time_s, seen)| *seen || *time_s > 0.0)
        .collect();
    // Of the same instant, those that were seen come first.
    times.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let mut found = Quantiles { watched: times.len() as u64, ..Quantiles::default() };
    let mut open = 1.0;
    for (index, (time_s, seen)) in times.iter().enumerate() {
        if !seen {
            continue;
        }
        open *= 1.0 - 1.0 / (times.len() - index) as f64;
        found.seen += 1;
        found.max_s = Some(*time_s);
        let reached = |share: f64| open <= 1.0 - share + 1e-9;
        found.p50_s = found.p50_s.or(reached(0.5).then_some(*time_s));
        found.p95_s = found.p95_s.or(reached(0.95).then_some(*time_s));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(times: &[(Option<f64>, f64)], p50_s: Option<f64>, p95_s: Option<f64>) {
        let spell = |(recovered_s, watched_s): &(Option<f64>, f64)| Spell {
            recovered_s: *recovered_s,
            watched_s: *watched_s,
        };
        let found = quantiles(&times.iter().map(spell).collect::<Vec<_>>());
        assert_eq!((found.p50_s, found.p95_s), (p50_s, p95_s), "{found:?}");
    }

    #[test]
    fn without_cuts_they_are_the_sorted_times() {
        check(&[], None, None);
        check(&[(Some(3.0), 9.0)], Some(3.0), Some(3.0));
        let hundred: Vec<_> = (1..=100).rev().map(|n| (Some(f64::from(n)), 200.0)).collect();
        check(&hundred, Some(50.0), Some(95.0));
    }

    #[test]
    fn what_was_cut_off_counts_as_longer() {
        check(&[(Some(1.0), 9.0), (None, 9.0), (None, 9.0)], None, None);
        // 1: 3/4 are open; cut at 2; 3: half of that; 4: none
        let cut = [(Some(1.0), 9.0), (None, 2.0), (Some(3.0), 9.0), (Some(4.0), 9.0)];
        check(&cut, Some(3.0), Some(4.0));
        check(&[(Some(1.0), 9.0), (Some(1.0), 9.0), (None, 1.0)], Some(1.0), None);
    }

    #[test]
    fn what_was_not_watched_says_nothing() {
        check(&[(None, 0.0), (None, -2.0), (Some(3.0), 9.0)], Some(3.0), Some(3.0));
        let found = quantiles(&[Spell { recovered_s: None, watched_s: 0.0 }]);
        assert_eq!((found.seen, found.watched), (0, 0));
    }
}

//! The numbers of one trial, phase and operation. Accepted and completed never meet in one number.

use record::latency::Metric;
use record::read::{Spectrum, Trial};
use record::{Phase, RequestCounts, TimelineRow};

/// Times, some of which are known to be longer than recorded or to have no end.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    spectrum: Spectrum,
    /// The smallest time that is only a lower bound, µs.
    at_least_us: Option<u64>,
    /// How many never ended.
    endless: u64,
}

/// A time in ms, or the lower bound of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    /// The value, ms; infinite if it never ended.
    pub(super) ms: f64,
    /// Whether the true value may be higher: open requests lie at or below it.
    pub(super) at_least: bool,
}

/// One trial, phase and operation.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// The part of the schedule.
    pub(super) phase: Phase,
    /// By the intended start.
    pub(super) counts: RequestCounts,
    /// Response times of ok answers.
    pub(super) accepted: Times,
    /// Response times of all outcomes: what customers felt.
    pub(super) felt: Times,
    /// Service times of ok answers.
    pub(super) service: Times,
    /// Intended start to final state, of acknowledged orders.
    pub(super) completed: Times,
    /// Acknowledged orders that reached a final state.
    pub(super) completed_count: u64,
    /// Of these, within the objective.
    pub(super) in_time_count: u64,
    /// Orders that reached a final state although their customer got no answer.
    pub(super) recovered_count: u64,
}

impl Figures {
    /// Reads them off `trial` for its phase number `index`.
    pub(super) fn of(trial: &Trial, index: usize, operation: &str) -> Option<Self> {
        let phase = trial.manifest.phases.get(index)?.clone();
        let times = |metric, wanted: fn(&str) -> bool| {
            trial.latencies.times(index, operation, metric, wanted)
        };
        let ok = |outcome: &str| outcome == "ok";
        let open = |outcome: &str| outcome == "unfinished";
        let ended = |outcome: &str| outcome != "unfinished";
        let accepted = times(Metric::Response, ok);
        let completed = times(Metric::Completed, ok);
        let objective_us = (trial.manifest.limits.objective_s * 1e6) as u64;
        Some(Self {
            counts: counts(trial, &phase, operation),
            felt: Times::with_open(times(Metric::Response, ended), &times(Metric::Response, open)),
            service: Times::exact(times(Metric::Service, ok)),
            completed_count: completed.count(),
            in_time_count: completed.count_up_to(objective_us),
            recovered_count: times(Metric::Completed, |outcome| outcome != "ok").count(),
            completed: Times::with_endless(completed, trial.never_final(index, operation)),
            accepted: Times::exact(accepted),
            phase,
        })
    }

    /// As [`Figures::of`], by the phase's name, for the trial's main operation.
    pub(super) fn named(trial: &Trial, phase: &str) -> Option<Self> {
        let index = trial.manifest.phases.iter().position(|one| one.name == phase)?;
        Self::of(trial, index, trial.main_operation())
    }

    /// Its length, seconds.
    pub(super) fn seconds(&self) -> f64 {
        f64::from(self.phase.to_s.saturating_sub(self.phase.from_s).max(1))
    }

    /// Ok answers as a share of the arrivals; `None` without arrivals.
    pub(super) fn ok_share(&self) -> Option<f64> {
        share(self.counts.ok, self.counts.scheduled)
    }

    /// Everything but ok as a share of the arrivals.
    pub(super) fn failed_share(&self) -> Option<f64> {
        share(self.counts.scheduled.saturating_sub(self.counts.ok), self.counts.scheduled)
    }

    /// Acknowledged orders that were final within the objective, as a share of the arrivals.
    pub(super) fn in_time_share(&self) -> Option<f64> {
        share(self.in_time_count, self.counts.scheduled)
    }

    /// Acknowledged orders per second of arrival that were final within the objective.
    pub(super) fn goodput_per_s(&self) -> f64 {
        self.in_time_count as f64 / self.seconds()
    }
}

impl Times {
    fn exact(spectrum: Spectrum) -> Self {
        Self { spectrum, ..Self::default() }
    }

    fn with_open(ended: Spectrum, open: &Spectrum) -> Self {
        Self { at_least_us: open.min(), spectrum: ended.merged(open), endless: 0 }
    }

    fn with_endless(spectrum: Spectrum, endless: u64) -> Self {
        Self { spectrum, endless, at_least_us: None }
    }

    /// The time at quantile `q`; `None` if the sample is too small for it.
    pub(super) fn quantile(&self, q: f64) -> Option<Time> {
        let all = self.count() + self.endless;
        if all < Spectrum::least(q) {
            return None;
        }
        let rank = ((q * all as f64).ceil() as u64).max(1);
        self.spectrum.at_rank(rank).map_or(Some(ENDLESS), |us| Some(self.time(us)))
    }

    /// The longest.
    pub(super) fn max(&self) -> Option<Time> {
        if self.endless > 0 {
            return Some(ENDLESS);
        }
        self.spectrum.max().map(|us| self.time(us))
    }

    /// How many that ended.
    pub(super) fn count(&self) -> u64 {
        self.spectrum.count()
    }

    /// How many that never ended.
    pub(super) fn endless(&self) -> u64 {
        self.endless
    }

    fn time(&self, us: u64) -> Time {
        Time { ms: us as f64 / 1e3, at_least: self.at_least_us.is_some_and(|open| open <= us) }
    }
}

const ENDLESS: Time = Time { ms: f64::INFINITY, at_least: false };

/// The requests whose intended start lies in `phase`.
fn counts(trial: &Trial, phase: &Phase, operation: &str) -> RequestCounts {
    let inside = |row: &&TimelineRow| {
        row.operation == operation && phase.from_s <= row.t_s && row.t_s < phase.to_s
    };
    trial.timeline.iter().filter(inside).fold(RequestCounts::default(), |sum, row| RequestCounts {
        scheduled: sum.scheduled + row.offered,
        ok: sum.ok + row.ok,
        failed: sum.failed + row.failed,
        unknown: sum.unknown + row.unknown,
        dropped: sum.dropped + row.dropped,
        unfinished: sum.unfinished + row.unfinished,
    })
}

/// How often each of the requests whose intended start lies in `phase` was asked for; `None` where the
/// record does not say.
pub(super) fn attempts_each(trial: &Trial, phase: &Phase, operation: &str) -> Option<f64> {
    let mut inside = trial.timeline.iter().filter(|row| {
        row.operation == operation && phase.from_s <= row.t_s && row.t_s < phase.to_s
    });
    let sum = |(attempts, offered), row: &TimelineRow| match row.offered {
        0 => Some((attempts, offered)),
        some => Some((attempts + row.attempts?, offered + some)),
    };
    let (attempts, offered) = inside.try_fold((0, 0), sum)?;
    share(attempts, offered)
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::latency::histogram;
    use record::read::Latencies;
    use record::{AuditCounts, Verdict};

    fn spectrum(values: impl Iterator<Item = u64>) -> Spectrum {
        let mut all = histogram().unwrap();
        values.for_each(|value| all.record(value).unwrap());
        Spectrum::of(&all)
    }

    #[test]
    fn orders_that_never_became_final_count_in_the_percentiles() {
        let times = Times::with_endless(spectrum(1..=60), 40);
        assert_eq!(times.quantile(0.5).map(|time| time.ms), Some(0.05));
        assert_eq!(times.quantile(0.9).map(|time| time.ms), Some(f64::INFINITY));
        assert_eq!(times.max().map(|time| time.ms), Some(f64::INFINITY));
    }

    /// All accepted orders were dead-lettered, say.
    #[test]
    fn orders_none_of_which_became_final_are_not_final() {
        let asked = |asked| AuditCounts { asked, ..AuditCounts::default() };
        let figures = |counts| {
            let mut trial = Trial {
                latencies: Latencies::of_places(&[("ok", Metric::Response, 1..=400)]),
                audit: Some(Verdict { counts, ..Verdict::default() }),
                ..Trial::default()
            };
            trial.manifest.phases.push(Phase::default());
            let counts = [Figures::of(&trial, 0, "place"), Figures::of(&trial, 0, "get")];
            counts.map(|figures| figures.unwrap().completed)
        };
        let [placed, got] = figures(asked(400));
        assert_eq!((placed.count(), placed.endless()), (0, 400));
        assert_eq!(placed.quantile(0.99), Some(ENDLESS));
        assert_eq!((got.endless(), got.quantile(0.99)), (0, None));
        // An audit that read nothing says nothing.
        assert_eq!(figures(asked(0))[0].endless(), 0);
    }

    #[test]
    fn a_percentile_above_an_open_request_is_a_lower_bound() {
        let times = Times::with_open(spectrum(1..=90), &spectrum(70..=79));
        assert_eq!(times.quantile(0.5), Some(Time { ms: 0.05, at_least: false }));
        assert_eq!(times.quantile(0.9).map(|time| time.at_least), Some(true));
    }
}

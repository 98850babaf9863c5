//! The numbers of one trial, phase and operation. Accepted and completed never meet in one number.

use crate::record::latency::Metric;
use crate::record::read::{Spectrum, Trial};
use crate::record::{Phase, RequestCounts, TimelineRow};

/// The operation whose completion is watched.
pub(super) const PLACE: &str = "place";

/// Times, some of which are known to be longer than recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    spectrum: Spectrum,
    /// The smallest time that is only a lower bound, µs.
    at_least_us: Option<u64>,
}

/// A time in ms, or the lower bound of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    /// The value, ms.
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
    /// Intended start to final state, of acknowledged orders; open ones as lower bounds.
    pub(super) completed: Times,
    /// Orders that reached a final state.
    pub(super) completed_count: u64,
    /// Of these, within the objective.
    pub(super) in_time_count: u64,
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
        let completed = times(Metric::Completed, ended);
        let objective_us = (trial.manifest.limits.objective_s * 1e6) as u64;
        Some(Self {
            counts: counts(trial, &phase, operation),
            accepted: Times::exact(times(Metric::Response, ok)),
            felt: Times::with_open(times(Metric::Response, ended), &times(Metric::Response, open)),
            service: Times::exact(times(Metric::Service, ok)),
            completed_count: completed.count(),
            in_time_count: completed.count_up_to(objective_us),
            completed: Times::with_open(completed, &times(Metric::Completed, open)),
            phase,
        })
    }

    /// As [`Figures::of`], by the phase's name, for the operation `place`.
    pub(super) fn named(trial: &Trial, phase: &str) -> Option<Self> {
        let index = trial.manifest.phases.iter().position(|one| one.name == phase)?;
        Self::of(trial, index, PLACE)
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

    /// Orders per second of arrival that were final within the objective.
    pub(super) fn goodput_per_s(&self) -> f64 {
        self.in_time_count as f64 / self.seconds()
    }
}

impl Times {
    fn exact(spectrum: Spectrum) -> Self {
        Self { spectrum, at_least_us: None }
    }

    fn with_open(ended: Spectrum, open: &Spectrum) -> Self {
        Self { at_least_us: open.min(), spectrum: ended.merged(open) }
    }

    /// The time at quantile `q`; `None` if the sample is too small for it.
    pub(super) fn quantile(&self, q: f64) -> Option<Time> {
        self.spectrum.quantile(q).map(|us| self.time(us))
    }

    /// The longest.
    pub(super) fn max(&self) -> Option<Time> {
        self.spectrum.max().map(|us| self.time(us))
    }

    /// How many samples.
    pub(super) fn count(&self) -> u64 {
        self.spectrum.count()
    }

    fn time(&self, us: u64) -> Time {
        Time { ms: us as f64 / 1e3, at_least: self.at_least_us.is_some_and(|open| open <= us) }
    }
}

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

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

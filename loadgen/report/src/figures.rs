//! The numbers of one trial, phase and operation. Accepted and completed never meet in one number.

pub(super) use decide::Figure;
use record::latency::Metric;
use record::read::{Spectrum, Trial};
use record::{Operation, Outcome, Phase, RequestCounts, TimelineRow};

/// Times, some of which are known to be longer than recorded or to have no end.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    spectrum: Spectrum,
    /// The same without what the measuring machine may have added.
    least: Spectrum,
    /// The smallest time that is only a lower bound, µs.
    at_least_us: Option<u64>,
    /// How many never ended.
    endless: u64,
    /// Of those whose outcome may be another: how many may not belong to these, and how many more may.
    touched: (u64, u64),
}

/// A time in ms, or the lower bound of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    /// The value as measured, ms; infinite if it never ended.
    pub(super) ms: f64,
    /// The value without what the measuring machine may have added, ms.
    pub(super) least_ms: f64,
    /// The value if those that may have ended otherwise are the slowest, ms.
    pub(super) most_ms: f64,
    /// Whether the true value may be higher: open requests lie at or below it.
    pub(super) at_least: bool,
}

/// Requests that were sent late, or while something late was worked off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// Answered as asked.
    pub(super) ok: u64,
    /// Not so, or never sent.
    pub(super) failed: u64,
    /// Orders that were final in time.
    good: u64,
    /// Orders that were not.
    missed: u64,
}

/// One trial, phase and operation.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// The part of the schedule.
    pub(super) phase: Phase,
    /// Whose requests.
    operation: Operation,
    /// By the intended start.
    pub(super) counts: RequestCounts,
    /// Of these, those whose outcome may be another on a machine that is never late.
    pub(super) touched: Touched,
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
    /// Ok answers within the objective; and how many, without what the measuring machine may have added.
    accepted_in_time: (u64, u64),
    /// Orders that reached a final state although their customer got no answer.
    pub(super) recovered_count: u64,
}

impl Figures {
    /// Reads them off `trial` for its phase number `index`.
    pub(super) fn of(trial: &Trial, index: usize, operation: Operation) -> Option<Self> {
        let phase = trial.manifest.phases.get(index)?.clone();
        Some(Self::over(trial, phase, &[index], operation))
    }

    /// Of all phases together; `None` if there is none.
    pub(super) fn whole(trial: &Trial, operation: Operation) -> Option<Self> {
        let phases = &trial.manifest.phases;
        let from_s = phases.iter().map(|phase| phase.from_s).min()?;
        let to_s = phases.iter().map(|phase| phase.to_s).max()?;
        let all: Vec<usize> = (0..phases.len()).collect();
        let whole = Phase { name: "all".to_owned(), from_s, to_s };
        Some(Self::over(trial, whole, &all, operation))
    }

    /// Of the phases of these numbers, which `phase` holds.
    fn over(trial: &Trial, phase: Phase, indices: &[usize], operation: Operation) -> Self {
        let times = |metric, wanted: fn(Outcome) -> bool| {
            let sum = |of: &dyn Fn(usize) -> Spectrum| {
                let each = indices.iter().map(|index| of(*index));
                each.reduce(|sum, part| sum.merged(&part)).unwrap_or_default()
            };
            let times = sum(&|index| trial.latencies.times(index, operation, metric, wanted));
            (times, sum(&|index| trial.latencies.least(index, operation, metric, wanted)))
        };
        let ok = |outcome: Outcome| outcome == Outcome::Ok;
        let open = |outcome: Outcome| outcome == Outcome::Unfinished;
        let ended = |outcome: Outcome| outcome != Outcome::Unfinished;
        let touched = Touched::of(trial, &phase, operation);
        let accepted = times(Metric::Response, ok);
        let completed = times(Metric::Completed, ok);
        let objective_us = (trial.manifest.limits.objective_s * 1e6) as u64;
        let endless = indices.iter().map(|index| trial.never_final(*index, operation)).sum();
        Self {
            counts: counts(trial, &phase, operation),
            touched,
            felt: Times::with_open(times(Metric::Response, ended), times(Metric::Response, open))
                .or_others(touched.all(), touched.all()),
            service: Times::exact(times(Metric::Service, ok)),
            completed_count: completed.0.count(),
            in_time_count: completed.0.count_up_to(objective_us),
            accepted_in_time: (
                accepted.0.count_up_to(objective_us),
                accepted.1.count_up_to(objective_us),
            ),
            recovered_count: times(Metric::Completed, |outcome| outcome != Outcome::Ok).0.count(),
            completed: Times::with_endless(completed, endless)
                .or_others(touched.ok, touched.failed),
            accepted: Times::exact(accepted).or_others(touched.ok, touched.failed),
            operation,
            phase,
        }
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
    pub(super) fn ok_share(&self) -> Option<Figure> {
        let Touched { ok, failed, .. } = self.touched;
        self.share(self.counts.ok, ok, failed)
    }

    /// A share of the arrivals, of which some may be none and some more may be of it.
    fn share(&self, part: u64, fewer: u64, more: u64) -> Option<Figure> {
        let whole = self.counts.scheduled;
        let ends = (part.saturating_sub(fewer), (part + more).min(whole));
        let (least, most) = (share(ends.0, whole)?, share(ends.1, whole)?);
        Some(Figure { value: share(part, whole)?, least, most })
    }

    /// By how many times a part of its arrivals differs more from second to second than chance makes them (the
    /// design effect of clusters: Kish 1965); 1 if that is not to be seen.
    pub(super) fn spread_of_seconds(
        &self,
        trial: &Trial,
        part: impl Fn(&TimelineRow) -> u64,
    ) -> f64 {
        let rows = || inside(trial, &self.phase, self.operation);
        let sum = rows().map(&part).sum();
        let Some(share) = share(sum, self.counts.scheduled) else { return 1.0 };
        let chance = share * (1.0 - share);
        let (mut sum, mut seconds) = (0.0, 0.0);
        for row in rows().filter(|row| row.offered > 0) {
            let offered = row.offered as f64;
            sum += (part(row) as f64 - offered * share).powi(2) / offered;
            seconds += 1.0;
        }
        if seconds < 2.0 || chance == 0.0 { 1.0 } else { sum / (seconds - 1.0) / chance }
    }

    /// Everything but ok as a share of the arrivals.
    pub(super) fn failed_share(&self) -> Option<Figure> {
        let Touched { ok, failed, .. } = self.touched;
        self.share(self.counts.scheduled.saturating_sub(self.counts.ok), failed, ok)
    }

    /// Acknowledged orders that were final within the objective, as a share of the arrivals.
    pub(super) fn in_time_share(&self) -> Option<Figure> {
        self.share(self.in_time_count, self.touched.good, self.touched.missed)
    }

    /// Acknowledged orders that reached a final state, as a share of the arrivals.
    pub(super) fn completed_share(&self) -> Option<Figure> {
        let Touched { ok, failed, .. } = self.touched;
        self.share(self.completed_count, ok, failed)
    }

    /// Ok answers within the objective, as a share of the arrivals.
    pub(super) fn accepted_in_time_share(&self) -> Option<Figure> {
        let (measured, most) = self.accepted_in_time;
        let Touched { ok, failed, .. } = self.touched;
        self.share(measured, ok, most.saturating_sub(measured) + failed)
    }

    /// Acknowledged orders per second of arrival that reached a final state.
    pub(super) fn completions_per_s(&self) -> Figure {
        let rate = |count: u64| count as f64 / self.seconds();
        let least = rate(self.completed_count.saturating_sub(self.touched.ok));
        let most = rate(self.completed_count + self.touched.failed);
        Figure { value: rate(self.completed_count), least, most }
    }

    /// Acknowledged orders per second of arrival that were final within the objective.
    pub(super) fn goodput_per_s(&self) -> Figure {
        let rate = |good: u64| good as f64 / self.seconds();
        let least = rate(self.in_time_count.saturating_sub(self.touched.good));
        let most = rate(self.in_time_count + self.touched.missed);
        Figure { value: rate(self.in_time_count), least, most }
    }
}

impl Times {
    fn exact((spectrum, least): (Spectrum, Spectrum)) -> Self {
        Self { spectrum, least, ..Self::default() }
    }

    fn with_open(ended: (Spectrum, Spectrum), open: (Spectrum, Spectrum)) -> Self {
        let (spectrum, least) = (ended.0.merged(&open.0), ended.1.merged(&open.1));
        Self { at_least_us: open.0.min(), spectrum, least, ..Self::default() }
    }

    fn with_endless((spectrum, least): (Spectrum, Spectrum), endless: u64) -> Self {
        Self { spectrum, least, endless, ..Self::default() }
    }

    /// Some of which may not belong to these, and beside which others may.
    fn or_others(self, fewer: u64, more: u64) -> Self {
        Self { touched: (fewer, more), ..self }
    }

    /// The time at quantile `q`; `None` if the sample is too small for it.
    pub(super) fn quantile(&self, q: f64) -> Option<Time> {
        let all = self.count() + self.endless;
        if all < Spectrum::least(q) {
            return None;
        }
        let rank_of = |count: u64| ((q * count as f64).ceil() as u64).max(1);
        let ms = |us: Option<u64>| us.map_or(f64::INFINITY, |us| us as f64 / 1e3);
        let measured = self.spectrum.at_rank(rank_of(all));
        let (fewer, more) = self.touched;
        // At one end the slowest are none of these, and the others the fastest; at the other the reverse.
        let rank = rank_of(all.saturating_sub(fewer) + more);
        let least = match rank.checked_sub(more).filter(|rank| *rank > 0) {
            Some(rank) => self.least.at_rank(rank),
            None => self.least.min(),
        };
        let most = self.spectrum.at_rank(rank + fewer);
        let at_least = self.at_least_us.zip(measured).is_some_and(|(open, us)| open <= us);
        let [ms, least_ms, most_ms] = [measured, least, most].map(ms);
        let (least_ms, most_ms) = (least_ms.min(ms), most_ms.max(ms));
        Some(Time { ms, least_ms, most_ms, at_least })
    }

    /// The longest.
    pub(super) fn max(&self) -> Option<Time> {
        if self.endless > 0 {
            return Some(ENDLESS);
        }
        let ms = |us: u64| us as f64 / 1e3;
        let least_ms = self.least.max().map_or(0.0, ms);
        let at_least = self.at_least_us.is_some();
        self.spectrum.max().map(ms).map(|ms| Time { ms, least_ms, most_ms: ms, at_least })
    }

    /// How many that ended.
    pub(super) fn count(&self) -> u64 {
        self.spectrum.count()
    }

    /// How many that never ended.
    pub(super) fn endless(&self) -> u64 {
        self.endless
    }
}

const ENDLESS: Time =
    Time { ms: f64::INFINITY, least_ms: f64::INFINITY, most_ms: f64::INFINITY, at_least: false };

impl From<Time> for Figure {
    fn from(time: Time) -> Self {
        Self { value: time.ms, least: time.least_ms, most: time.most_ms }
    }
}

impl Touched {
    fn of(trial: &Trial, phase: &Phase, operation: Operation) -> Self {
        inside(trial, phase, operation).fold(Self::default(), |sum, row| Self {
            ok: sum.ok + row.touched_ok.unwrap_or(0),
            failed: sum.failed + row.touched_failed.unwrap_or(0),
            good: sum.good + row.touched_good.unwrap_or(0),
            missed: sum.missed + row.touched_missed.unwrap_or(0),
        })
    }

    fn all(self) -> u64 {
        self.ok + self.failed
    }
}

/// The rows of an operation in a phase.
fn inside<'t>(
    trial: &'t Trial,
    phase: &'t Phase,
    operation: Operation,
) -> impl Iterator<Item = &'t TimelineRow> {
    let inside = move |row: &&TimelineRow| {
        row.operation == operation && phase.from_s <= row.t_s && row.t_s < phase.to_s
    };
    trial.timeline.iter().filter(inside)
}

/// The requests whose intended start lies in `phase`.
fn counts(trial: &Trial, phase: &Phase, operation: Operation) -> RequestCounts {
    inside(trial, phase, operation).fold(RequestCounts::default(), |sum, row| RequestCounts {
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
pub(super) fn attempts_each(trial: &Trial, phase: &Phase, operation: Operation) -> Option<f64> {
    let mut inside = inside(trial, phase, operation);
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
        let times = Times::with_endless((spectrum(1..=60), spectrum(1..=60)), 40);
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
                latencies: Latencies::of_places(&[(Outcome::Ok, Metric::Response, 1..=400)]),
                audit: Some(Verdict { counts, ..Verdict::default() }),
                ..Trial::default()
            };
            trial.manifest.phases.push(Phase::default());
            let both = [Operation::Place, Operation::Get].map(|of| Figures::of(&trial, 0, of));
            both.map(|figures| figures.unwrap().completed)
        };
        let [placed, got] = figures(asked(400));
        assert_eq!((placed.count(), placed.endless()), (0, 400));
        assert_eq!(placed.quantile(0.99), Some(ENDLESS));
        assert_eq!((got.endless(), got.quantile(0.99)), (0, None));
        // An audit that read nothing says nothing.
        assert_eq!(figures(asked(0))[0].endless(), 0);
    }

    #[test]
    fn a_figure_has_two_ends_where_the_machine_was_late() {
        let row = TimelineRow {
            operation: Operation::Place,
            offered: 100,
            ok: 90,
            touched_ok: Some(20),
            touched_failed: Some(5),
            touched_good: Some(10),
            touched_missed: Some(15),
            ..TimelineRow::default()
        };
        let times = [
            (Outcome::Ok, Metric::Response, 1..=400),
            (Outcome::Ok, Metric::ResponseTouched, 301..=400),
            (Outcome::Ok, Metric::ResponseLeast, 101..=200),
        ];
        let mut trial = Trial {
            latencies: Latencies::of_places(&times),
            timeline: vec![row],
            ..Trial::default()
        };
        trial.manifest.phases.push(Phase { to_s: 10, ..Phase::default() });
        let figures = Figures::of(&trial, 0, Operation::Place).unwrap();
        assert_eq!(figures.ok_share(), Some(Figure { value: 0.9, least: 0.7, most: 0.95 }));
        assert_eq!(figures.goodput_per_s(), Figure { value: 0.0, least: 0.0, most: 1.5 });
        // Of 400 that are ok 20 may not have been, and 5 more may: 385, of which the 193rd counts.
        let p50 = figures.accepted.quantile(0.5).unwrap();
        assert_eq!((p50.ms, p50.least_ms, p50.most_ms), (0.2, 0.144, 0.213));
    }

    #[test]
    fn a_percentile_above_an_open_request_is_a_lower_bound() {
        let [ended, open] = [1..=90, 70..=79].map(|us| (spectrum(us.clone()), spectrum(us)));
        let times = Times::with_open(ended, open);
        let p50 = Time { ms: 0.05, least_ms: 0.05, most_ms: 0.05, at_least: false };
        assert_eq!(times.quantile(0.5), Some(p50));
        assert_eq!(times.quantile(0.9).map(|time| time.at_least), Some(true));
    }
}

//! Numbers that a record can hold: what lies outside was not written by a trial, and would overflow a
//! sum or stretch an axis without end.

use crate::{
    FaultRow, FileRow, Manifest, Met, Phase, RequestCounts, ResourceRow, TimelineRow, Verdict,
};
use std::collections::BTreeMap;

/// Seven days: thresholds and charts count in seconds from 0.
const SECONDS_MAX: f64 = 604_800.0;
/// The drain and time-outs come on top.
const EXTRA: f64 = 10.0;
/// So many rows of so much still add up in 64 bits.
const COUNT_MAX: u64 = 1 << 48;
/// Rates, times in ms or µs, bytes: all lie far below.
const NUMBER_MAX: f64 = 1e15;
/// Corners of the rate curve: a trace of a week has two a second.
const CORNERS_MAX: usize = 2_000_000;
const PHASES_MAX: usize = 1_000;
/// The year 5138.
const EPOCH_US_MAX: i64 = 100_000_000_000_000_000;

/// What a file of the record holds, as far as its types do not say.
pub trait Validate {
    /// What is wrong with it, if anything.
    fn check(&self) -> Result<(), String>;
}

impl Validate for BTreeMap<String, String> {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Validate for TimelineRow {
    fn check(&self) -> Result<(), String> {
        second("t_s", f64::from(self.t_s))?;
        let counts = [
            self.offered,
            self.attempts.unwrap_or(0),
            self.sent,
            self.ok,
            self.failed,
            self.unknown,
            self.dropped,
            self.unfinished,
            self.answered,
            self.completed,
            self.touched_ok.unwrap_or(0),
            self.touched_failed.unwrap_or(0),
            self.touched_good.unwrap_or(0),
            self.touched_missed.unwrap_or(0),
            self.in_flight,
            self.backlog,
        ];
        counts.into_iter().try_for_each(count)?;
        let least = [self.p50_least_ms, self.p99_least_ms];
        let times = [self.p50_ms, self.p90_ms, self.p99_ms, self.max_ms];
        let times = times.into_iter().chain(least);
        times.flatten().try_for_each(|ms| number("a time", ms))
    }
}

impl Validate for ResourceRow {
    fn check(&self) -> Result<(), String> {
        second("t_s", self.t_s)?;
        count(self.rss_bytes)?;
        number("cpu_s", self.cpu_s)
    }
}

impl Validate for FileRow {
    fn check(&self) -> Result<(), String> {
        second("t_s", self.t_s)?;
        count(self.bytes)
    }
}

impl Validate for FaultRow {
    fn check(&self) -> Result<(), String> {
        second("commanded_s", self.commanded_s)?;
        count(self.in_flight_at_onset)?;
        count(self.in_work_at_onset.unwrap_or(0))?;
        let seen = [self.effective_s, self.heal_commanded_s, self.healed_s];
        seen.into_iter().flatten().try_for_each(|at_s| second("an instant", at_s))
    }
}

impl Validate for Vec<Met> {
    fn check(&self) -> Result<(), String> {
        let found = self.iter().filter_map(|met| met.found);
        found.into_iter().try_for_each(|found| number("found", found.abs()))
    }
}

impl Validate for Verdict {
    fn check(&self) -> Result<(), String> {
        let c = &self.counts;
        let counts = [
            c.asked,
            c.acknowledged,
            c.n(),
            c.failed,
            c.unknown,
            c.orders,
            c.paid,
            c.declined,
            c.pending,
            c.captures,
        ];
        counts.into_iter().try_for_each(count)?;
        self.violations.iter().chain(&self.oddities).try_for_each(|finding| count(finding.count))
    }
}

impl Validate for Manifest {
    fn check(&self) -> Result<(), String> {
        for (name, seconds) in [
            ("interval_s", self.interval_s),
            ("warm_up_s", self.warm_up_s),
            ("duration_s", self.duration_s),
        ] {
            within(name, f64::from(seconds), SECONDS_MAX)?;
        }
        if self.started_at_us.unsigned_abs() > EPOCH_US_MAX.unsigned_abs() {
            return Err(format!("started_at_us is {}", self.started_at_us));
        }
        if self.phases.len() > PHASES_MAX || self.offered.len() > CORNERS_MAX {
            return Err("more phases or corners of the rate curve than a load has".to_owned());
        }
        self.phases.iter().try_for_each(|phase| check_phase(phase, self.duration_s))?;
        for corner in &self.offered {
            second("offered.at_s", corner.at_s)?;
            number("offered.rate_per_s", corner.rate_per_s)?;
        }
        self.requests.values().try_for_each(check_requests)?;
        self.attempts.iter().try_for_each(|attempts| count(attempts.count))?;
        self.check_figures()
    }
}

impl Manifest {
    fn check_figures(&self) -> Result<(), String> {
        let (limits, generator, cost) = (&self.limits, &self.generator, &self.cost);
        second("drained_s", self.drained_s)?;
        let aborted = self.validity.aborted.as_ref();
        aborted.map_or(Ok(()), |aborted| second("validity.aborted.at_s", aborted.at_s as f64))?;
        for (name, seconds) in [
            ("limits.timeout_s", limits.timeout_s),
            ("limits.drain_s", limits.drain_s),
            ("limits.objective_s", limits.objective_s),
            ("limits.order_s", limits.order_s),
        ] {
            number(name, seconds)?;
        }
        let shares = [
            generator.cpu_share,
            generator.polled_share,
            generator.run_queue_share,
            generator.steal_share,
            generator.rivals,
        ];
        shares.into_iter().try_for_each(|share| number("a share", share.abs()))?;
        number("generator.cpu_s", generator.cpu_s)?;
        number("cost.system_cpu_s", cost.system_cpu_s)?;
        number("cost.cpu_ms_per_completed_order", cost.cpu_ms_per_completed_order.unwrap_or(0.0))?;
        cost.cpu_s.values().try_for_each(|cpu_s| number("cost.cpu_s", *cpu_s))?;
        for stall in &self.stalls {
            second("stalls.at_s", stall.at_s)?;
            number("stalls.ms", stall.ms)?;
        }
        if let Some(touched) = &self.touched {
            [touched.late, touched.times, touched.outcomes].into_iter().try_for_each(count)?;
        }
        let fsync = &self.fsync;
        let counts = [
            generator.lag_p50_us,
            generator.lag_p99_us,
            generator.lag_max_us,
            generator.hiccup_p99_us,
            generator.hiccup_max_us,
            generator.clock_drift_us.unsigned_abs(),
            cost.completed_orders,
            cost.rss_peak_bytes,
            fsync.before_p50_us,
            fsync.before_p99_us,
            fsync.after_p50_us,
            fsync.after_p99_us,
        ];
        counts.into_iter().try_for_each(count)
    }
}

fn check_phase(phase: &Phase, duration_s: u32) -> Result<(), String> {
    if phase.from_s <= phase.to_s && phase.to_s <= duration_s {
        return Ok(());
    }
    Err(format!(
        "phase {:?} is {} s to {} s of a load of {duration_s} s",
        phase.name, phase.from_s, phase.to_s
    ))
}

fn check_requests(requests: &RequestCounts) -> Result<(), String> {
    let r = requests;
    [r.scheduled, r.ok, r.failed, r.unknown, r.dropped, r.unfinished]
        .into_iter()
        .try_for_each(count)
}

fn count(count: u64) -> Result<(), String> {
    if count <= COUNT_MAX {
        return Ok(());
    }
    Err(format!("{count} is more than anything that is counted here"))
}

fn second(name: &str, seconds: f64) -> Result<(), String> {
    within(name, seconds, SECONDS_MAX * EXTRA)
}

fn number(name: &str, value: f64) -> Result<(), String> {
    within(name, value, NUMBER_MAX)
}

fn within(name: &str, value: f64, most: f64) -> Result<(), String> {
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is {value}, not between 0 and {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_no_trial_has_are_refused() {
        let fine = TimelineRow { p99_ms: Some(3.0), ..TimelineRow::default() };
        assert_eq!(fine.check(), Ok(()));
        for p99_ms in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(TimelineRow { p99_ms: Some(p99_ms), ..fine.clone() }.check().is_err());
        }
        assert!(TimelineRow { ok: u64::MAX, ..fine.clone() }.check().is_err());
        assert!(TimelineRow { t_s: u32::MAX, ..fine }.check().is_err());
        assert_eq!(Manifest::default().check(), Ok(()));
        let phase = Phase { name: "steady".to_owned(), from_s: 9, to_s: 5 };
        let manifest = Manifest { phases: vec![phase], duration_s: 9, ..Manifest::default() };
        assert_eq!(
            manifest.check().unwrap_err(),
            "phase \"steady\" is 9 s to 5 s of a load of 9 s"
        );
    }
}
